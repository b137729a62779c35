// What the service says about a VM. The numbers are those of service/aidl, where the words are explained; service/conversion.cc
// checks that.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "guest/exec_protocol.h"
#include "observe/crash_report.h"
#include "service/record_store.h"
#include "vmm/control/protocol.h"

namespace adyton::service {

enum class VmState : int32_t { kNotStarted = 0, kStarting = 1, kStarted = 2, kReady = 3, kFinished = 4, kDead = 6 };

enum class DeathReason : int32_t {
  kInfrastructureError = 0,
  kKilled = 1,
  kUnknown = 2,
  kShutdown = 3,
  kStartFailed = 4,
  kReboot = 5,
  kCrash = 6,
  kFailedToConnect = 11,
  kPayloadHasChanged = 12,
  kPayloadVerificationFailed = 13,
  kInvalidPayloadConfig = 14,
  kUnknownRuntimeError = 15,
  kHangup = 16,
  kWatchdogReboot = 17,
};

enum class GuestError : int32_t { kUnknown = 0, kPayloadVerificationFailed = 1, kPayloadChanged = 2, kPayloadInvalidConfig = 3 };

enum class IsolationLevel : int32_t { kNone = 0, kProcess = 1, kHypervisor = 2 };

[[nodiscard]] std::string_view to_string(VmState state);
[[nodiscard]] std::string_view to_string(IsolationLevel level);  // "none", "process", "hypervisor": as the VMM names them
[[nodiscard]] std::optional<IsolationLevel> isolation_from(std::string_view name);

struct Death {
  DeathReason reason = DeathReason::kUnknown;
  std::string message;  // one sentence for a person
};

// Nanoseconds since 1970-01-01 UTC.
[[nodiscard]] uint64_t wall_clock_ns();

// Who asked for a VM.
struct Requester {
  uint64_t session = 0;
  uint32_t uid = UINT32_MAX;
  int32_t pid = -1;
};

// A VM to be made, checked and with every file open.
struct VmSpec {
  std::string name;  // empty: after its cid
  InstanceId instance_id{};
  // All but the console and the ports, which the service adds.
  vmm::control::Configure machine;
  std::vector<UniqueFd> fds;  // what `machine` refers to
  IsolationLevel isolation = IsolationLevel::kNone;
  bool detached = false;
  bool persistent = false;
  bool debuggable = true;                     // a raw VM, or one with debug level FULL
  std::optional<guest::ExecRequest> payload;  // none: a raw VM
  bool set_clock = true;                      // payload: give it the time of its start
  std::chrono::milliseconds boot_timeout{0};  // payload: from start to the payload's start; 0: never
  // Where the socket of its vsock ports is made; empty: it has none. Without `vsock_required` the VM also starts without it.
  std::string vsock_path;
  bool vsock_required = false;
  std::string crash_folder;  // where its crash reports are kept; empty: nowhere
  size_t crash_reports = 0;  // how many
  Requester requester;
};

struct VmInfo {
  uint32_t cid = 0;
  std::string name;
  VmState state = VmState::kNotStarted;
  IsolationLevel isolation = IsolationLevel::kNone;
  std::string backend;
  bool suspended = false;
  bool detached = false;
  bool persistent = false;
  bool app = false;
  uint32_t cpus = 0;
  uint64_t memory = 0;
  int32_t pid = -1;
  Requester requester;
  std::chrono::milliseconds uptime{0};
  std::chrono::milliseconds cpu_time{0};
  uint64_t resident = 0;       // bytes
  uint64_t peak_resident = 0;  // bytes
  int32_t payload_exit_code = -1;
  Death death;                                      // of a dead one
  std::string vsock_path;                           // empty: it has none
  std::optional<observe::KeptReport> crash_report;  // of this run
};

}  // namespace adyton::service
