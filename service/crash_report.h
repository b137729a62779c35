// What is kept of a guest that crashed: one readable file. Part of it is the guest's and the VMM's text, so that all of it is
// made fit for a terminal first.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/vm_types.h"

namespace adyton::service {

inline constexpr size_t kCrashMemory = size_t{256} * 1024;                   // bytes that the VMM has for its part
inline constexpr size_t kMaxCrashConsole = size_t{64} * 1024;                // bytes of the serial console's end
inline constexpr size_t kReportsOfARecord = 5, kReportsOfTemporaryVms = 20;  // that are kept; older ones go

struct CrashFacts {
  std::string name;
  uint32_t cid = 0;
  IsolationLevel isolation = IsolationLevel::kNone;
  std::string backend;
  std::string cause;  // one sentence
  std::chrono::system_clock::time_point time;
  std::chrono::milliseconds uptime{0};
  std::string guest;    // from the VMM: registers, backtraces, the kernel's log; "" when it left none
  std::string console;  // the end of the serial console
};

// Printable ASCII and line ends; other bytes are written as \xNN.
std::string printable(std::string_view text);
std::string crash_report(const CrashFacts& facts);

// Memory for the VMM's part: a memfd of kCrashMemory bytes, whose size is sealed.
Result<UniqueFd> make_crash_memory();
// The text in it.
std::string read_crash_memory(int memory);

// Makes the file NAME-OF-THE-TIME.txt (0600) in `folder`, which is made if it is missing, and removes all but the `kept` newest
// ones. It is whole and on the disk when the function returns, or not there. Returns its path.
Result<std::string> keep_crash_report(const std::string& folder, size_t kept, std::chrono::system_clock::time_point time,
                                      std::string_view report);

}  // namespace adyton::service
