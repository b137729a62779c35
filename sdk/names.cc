// The words for what has a number.
#include "adyton/virtual_machine.h"

namespace adyton {

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::kVirtualizationServiceDied: return "service died";
    case StopReason::kInfrastructureError: return "infrastructure error";
    case StopReason::kKilled: return "killed";
    case StopReason::kUnknown: return "unknown";
    case StopReason::kShutdown: return "shutdown";
    case StopReason::kStartFailed: return "start failed";
    case StopReason::kReboot: return "reboot";
    case StopReason::kCrash: return "crash";
    case StopReason::kPvmFirmwarePublicKeyMismatch: return "firmware public key mismatch";
    case StopReason::kPvmFirmwareInstanceImageChanged: return "firmware instance image changed";
    case StopReason::kMicrodroidFailedToConnectToVirtualizationService: return "guest failed to connect";
    case StopReason::kMicrodroidPayloadHasChanged: return "payload has changed";
    case StopReason::kMicrodroidPayloadVerificationFailed: return "payload verification failed";
    case StopReason::kMicrodroidInvalidPayloadConfig: return "invalid payload";
    case StopReason::kMicrodroidUnknownRuntimeError: return "guest runtime error";
    case StopReason::kHangup: return "hangup";
    case StopReason::kWatchdogReboot: return "watchdog reboot";
  }
  return "unknown";
}

std::string_view to_string(VmState state) {
  switch (state) {
    case VmState::kNotStarted: return "not started";
    case VmState::kStarting: return "starting";
    case VmState::kStarted: return "started";
    case VmState::kReady: return "ready";
    case VmState::kFinished: return "finished";
    case VmState::kDead: return "dead";
  }
  return "unknown";
}

}  // namespace adyton
