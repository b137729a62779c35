// `adyton trace`: what a virtual machine does, as a file for ui.perfetto.dev or chrome://tracing.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/options.h"
#include "cli/recordable.h"
#include "tools/capture/output.h"
#include "tools/trace/recorder.h"

namespace adyton::cli {

int trace(const TraceOptions& options);

// A trace that has begun, and is written while run() is in progress.
class TraceSession {
 public:
  // `vm` and `interrupt` (readable when the trace is to end; -1: nothing) outlive it.
  static Result<std::unique_ptr<TraceSession>> begin(Recordable& vm, const TraceOptions& options, UniqueFd file, int interrupt);

  // Until the trace's time is over, its VM or its reader gone, or an interrupt.
  Result<void> run();
  // Then: writes what is left, and the start's phases.
  Result<void> finish() { return recorder_->finish(options_.boot ? vm_.phases() : std::vector<trace::Phase>()); }

  [[nodiscard]] const trace::Recorder& recorder() const { return *recorder_; }
  [[nodiscard]] const Recordable::Facts& facts() const { return facts_; }

 private:
  TraceSession(Recordable& vm, const TraceOptions& options, UniqueFd file, int interrupt);
  Result<void> start(int interrupt);

  Recordable& vm_;
  const TraceOptions options_;
  capture::Output output_;
  std::unique_ptr<trace::Writer> writer_;
  trace::Process process_;
  Recordable::Facts facts_;
  UniqueFd calls_, packets_;  // each ends with us
  std::optional<trace::Recorder> recorder_;
};

}  // namespace adyton::cli
