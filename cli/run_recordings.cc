#include "cli/run_recordings.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>

#include "base/thread.h"
#include "cli/message.h"
#include "cli/recording.h"

namespace adyton::cli {

RunRecordings::~RunRecordings() {
  if (!end_.valid()) return;
  const uint64_t one = 1;
  (void)!::write(end_.get(), &one, sizeof(one));
}

Result<void> RunRecordings::open(const RunOptions& options) {
  if (!options.capture && !options.trace) return {};
  end_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end_.valid()) return fail_errno("cannot record the virtual machine");
  if (options.capture) {
    capture_.options.format = capture_format(*options.capture);
    capture_.file = TRY(open_recording(options.capture));
  }
  if (options.trace) {
    trace_.options.format = trace_format(*options.trace);
    choose_trace_categories(trace_.options, options.trace_categories);
    trace_.file = TRY(open_recording(options.trace));
  }
  return {};
}

template <typename Options, typename Session>
Result<void> RunRecordings::start(Recording<Options, Session>& recording, const char* name) {
  recording.thread = TRY(start_thread(name, [&recording] { recording.outcome = recording.session->run(); }));
  return {};
}

Result<void> RunRecordings::begin(std::unique_ptr<Recordable> vm) {
  vm_.push_back(std::move(vm));
  if (capture_.file.valid()) {
    capture_.session = TRY(CaptureSession::begin(vm_, capture_.options, std::move(capture_.file), end_.get()));
    TRY(start(capture_, "capture"));
  }
  if (trace_.file.valid()) {
    trace_.session = TRY(TraceSession::begin(*vm_.front(), trace_.options, std::move(trace_.file), end_.get()));
    TRY(start(trace_, "trace"));
  }
  return {};
}

std::vector<std::string> RunRecordings::finish() {
  std::vector<std::string> complaints;
  const auto end = [&](auto& recording, const char* what) {
    if (!recording.thread.joinable()) return;
    recording.thread.join();
    if constexpr (requires { recording.session->finish(); }) {
      if (recording.outcome) recording.outcome = recording.session->finish();
    }
    if (!recording.outcome) complaints.push_back(fmt::format("the {} is not whole: {}", what, recording.outcome.error().message));
    for (const std::string& warning : recording.session->recorder().warnings()) complaints.push_back(one_line(warning));
    if (const uint64_t dropped = recording.session->recorder().dropped(); dropped > 0)
      complaints.push_back(fmt::format("the {} has not all: {} records were dropped", what, dropped));
  };
  if (!capture_.thread.joinable() && !trace_.thread.joinable()) return complaints;
  // A reader may take its time.
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  end(capture_, "capture");
  end(trace_, "trace");
  return complaints;
}

}  // namespace adyton::cli
