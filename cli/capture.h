// `adyton capture`, and adyton-extcap for Wireshark: vsock packets of running virtual machines as a file, a stream, or text.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/options.h"
#include "cli/recordable.h"
#include "tools/capture/output.h"
#include "tools/capture/recorder.h"

namespace adyton::cli {

int capture(const CaptureOptions& options);

// What Wireshark calls, with its arguments (argv without the program's name). An exit code.
int extcap(const std::vector<std::string>& arguments);

// Has the VM copy its packets into a ring.
Result<capture::Source> start_capture(Recordable& vm, const capture::Request& request, uint64_t ring_bytes);

// Captures that have begun, and are written while run() is in progress.
class CaptureSession {
 public:
  // `interrupt`: readable when the capture is to end; -1: nothing. It outlives the session.
  static Result<std::unique_ptr<CaptureSession>> begin(const std::vector<std::unique_ptr<Recordable>>& vms,
                                                       const CaptureOptions& options, UniqueFd file, int interrupt);

  // Until as many packets have come as were asked for, the VMs or the reader are gone, or an interrupt.
  Result<void> run();

  [[nodiscard]] const capture::Recorder& recorder() const { return *recorder_; }

 private:
  CaptureSession(const CaptureOptions& options, UniqueFd file, int interrupt)
      : count_(options.count), output_(std::move(file), interrupt) {}

  const std::optional<uint64_t> count_;
  capture::Output output_;
  std::unique_ptr<capture::Writer> writer_;
  std::optional<capture::Recorder> recorder_;
};

}  // namespace adyton::cli
