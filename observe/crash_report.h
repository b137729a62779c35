// What is kept of a guest that crashed: one readable file. Part of it is the guest's and the VMM's text, so that all of it is
// made fit for a terminal first. The service writes them, and who runs a VM without one.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::observe {

inline constexpr size_t kCrashMemory = size_t{256} * 1024;                   // bytes that the VMM has for its part
inline constexpr size_t kMaxCrashConsole = size_t{64} * 1024;                // bytes of the serial console's end
inline constexpr size_t kReportsOfARecord = 5, kReportsOfTemporaryVms = 20;  // that are kept; older ones go

// The numbers are those of CrashKind in service/aidl.
enum class CrashKind : int32_t {
  kKernelPanic = 0,
  kPayload = 1,  // a fault has killed it
  kMachine = 2,  // a guest or an engine that cannot go on
  kHang = 3,     // nothing was heard of the guest for too long
};
[[nodiscard]] std::string_view to_string(CrashKind kind);  // "kernel-panic", "payload", "machine", "hang"

// Whether a payload that was ended by this signal has crashed.
[[nodiscard]] bool is_fault(uint32_t signal);
// What Linux says of its panic (kernel/panic.c) where it is last heard of: what follows "Kernel panic - not syncing: ", as
// printable text; "" if there is none.
[[nodiscard]] std::string panic_reason(std::string_view console);

// Finds out from the console that Linux has panicked and stays where it is (panic=0), which it says as the last thing it does. A
// program of the guest can say so too: only a hint. Costs a search of what is written.
class PanicWatch {
 public:
  // True with the bytes that complete the sentence.
  bool heard(std::span<const uint8_t> console);

 private:
  std::string rest_;  // what the sentence may begin with
};
// Whether what the VMM has read of a VM (CrashFacts::guest) shows a vCPU in the kernel's panic().
[[nodiscard]] bool shows_panic(std::string_view guest);

struct CrashFacts {
  CrashKind kind = CrashKind::kMachine;
  std::string name;
  uint32_t cid = 0;
  std::string isolation;
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
// ones. It appears whole, or not at all. It is not waited for on its way to the disk: a report is for information, and the thread
// that writes it has others to serve; should the machine lose power in that moment, kept_crash_reports() passes over what is
// left. Returns its path.
Result<std::string> keep_crash_report(const std::string& folder, size_t kept, std::chrono::system_clock::time_point time,
                                      std::string_view report);

struct KeptReport {
  std::string path;
  std::string vm;  // as its head has it: printable()
  CrashKind kind = CrashKind::kMachine;
  std::string cause;
  std::chrono::system_clock::time_point time;
};
// Those in a folder, the newest first. Files that are no reports are passed over; a folder that is not there has none.
std::vector<KeptReport> kept_crash_reports(const std::string& folder);

}  // namespace adyton::observe
