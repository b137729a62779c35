// The capture and the trace of one `adyton run`: from the VM's first instruction on until it has ended.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/capture.h"
#include "cli/options.h"
#include "cli/recordable.h"
#include "cli/trace.h"

namespace adyton::cli {

// Threading: one thread, beside those that it starts.
class RunRecordings {
 public:
  RunRecordings() = default;
  // Ends what goes on.
  ~RunRecordings();
  RunRecordings(const RunRecordings&) = delete;
  RunRecordings& operator=(const RunRecordings&) = delete;

  // Opens the files that the options ask for. Before there are other threads, and while signals end us.
  Result<void> open(const RunOptions& options);
  // There is something to record.
  [[nodiscard]] bool wanted() const { return capture_.file.valid() || trace_.file.valid(); }
  // Once, of a VM that is loaded and does not run yet.
  Result<void> begin(std::unique_ptr<Recordable> vm);
  // Once the VM has ended, or never ran: waits until all is written, while signals end us. What there is to complain of.
  std::vector<std::string> finish();

 private:
  template <typename Options, typename Session>
  struct Recording {
    Options options;
    UniqueFd file;
    std::unique_ptr<Session> session;
    Result<void> outcome;
    std::jthread thread;  // ends before what it uses
  };
  template <typename Options, typename Session>
  static Result<void> start(Recording<Options, Session>& recording, const char* name);

  std::vector<std::unique_ptr<Recordable>> vm_;
  UniqueFd end_;  // readable when they are to end before their time
  Recording<CaptureOptions, CaptureSession> capture_;
  Recording<TraceOptions, TraceSession> trace_;
};

}  // namespace adyton::cli
