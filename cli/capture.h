// `adyton capture`, and adyton-extcap for Wireshark: vsock packets of running virtual machines as a file, a stream, or text.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "adyton/virtual_machine_manager.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/options.h"
#include "tools/capture/recorder.h"

namespace adyton::cli {

int capture(const CaptureOptions& options);

// What Wireshark calls, with its arguments (argv without the program's name). An exit code.
int extcap(const std::vector<std::string>& arguments);

// Starts a capture of each of these virtual machines.
Result<std::vector<capture::Source>> start_captures(VirtualMachineManager& manager, const std::vector<std::string>& names,
                                                    const capture::Request& request, uint64_t ring_bytes);

}  // namespace adyton::cli
