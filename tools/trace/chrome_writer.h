// Traces as Chrome's JSON ("Trace Event Format"): for chrome://tracing, Perfetto, and scripts.
#pragma once
#include <string>

#include "tools/capture/output.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

class ChromeWriter final : public Writer {
 public:
  // The output stays the caller's.
  explicit ChromeWriter(capture::Output& output) : output_(output) {}

  Result<void> begin(const Process& process) override;
  Result<void> track(const Track& track) override;
  Result<void> event(const Event& event) override;
  Result<void> end() override;
  Result<void> flush() override { return output_.flush(); }

 private:
  Result<void> write(std::string_view text);
  Result<void> name(std::string_view what, TrackId track, std::string_view name);

  capture::Output& output_;
  int32_t pid_ = 0;
  std::string line_;                   // reused
  std::vector<std::string> counters_;  // their names, by track
};

}  // namespace adyton::trace
