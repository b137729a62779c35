#include "service/death.h"

#include <fmt/format.h>

#include <csignal>

#include "observe/crash_report.h"
#include "vmm/control/launch.h"

namespace adyton::service {
namespace {

constexpr size_t kMaxLine = 1024;

std::string with_detail(std::string sentence, std::string_view detail) {
  if (!detail.empty()) sentence += fmt::format(": {}", one_line(detail));
  return sentence;
}

Death from_message(const vmm::control::Ended& ended, bool started) {
  using vmm::control::EndReason;
  switch (ended.reason) {
    case EndReason::kShutdown: return {DeathReason::kShutdown, "the guest powered off"};
    case EndReason::kReset: return {DeathReason::kReboot, "the guest asked for a reset"};
    case EndReason::kStopped: return {DeathReason::kKilled, "the VM was stopped"};
    case EndReason::kCrashed: return {DeathReason::kCrash, with_detail("the guest crashed", ended.message)};
    case EndReason::kWatchdog:
      return {DeathReason::kWatchdogReboot, "the guest hangs: nobody has refreshed its watchdog in time"};
    case EndReason::kForbiddenCall:
      return {DeathReason::kKilled, with_detail("the VM's process was stopped by its sandbox", ended.message)};
    case EndReason::kInternalError: break;
  }
  if (!started) return {DeathReason::kStartFailed, with_detail("the VM could not be started", ended.message)};
  return {DeathReason::kInfrastructureError, with_detail("the VM's process failed", ended.message)};
}

// AVF's map of exit statuses, as far as ours has them.
Death from_exit(const ProcessExit& exit, bool started, std::string_view last_words) {
  if (exit.signalled) {
    std::string sentence = "the VM's process was " + vmm::control::describe_signal(exit.value);
    if (exit.value == SIGKILL) sentence += "; the host may be out of memory";
    return {DeathReason::kKilled, with_detail(std::move(sentence), last_words)};
  }
  std::string sentence = fmt::format("the VM's process ended unexpectedly with status {}", exit.value);
  return {started ? DeathReason::kUnknown : DeathReason::kStartFailed, with_detail(std::move(sentence), last_words)};
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kMaxLine));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return line;
}

Death explain(const Evidence& evidence) {
  if (evidence.intended) return *evidence.intended;
  Death death;
  if (evidence.ended) {
    death = from_message(*evidence.ended, evidence.started);
  } else if (evidence.exit) {
    death = from_exit(*evidence.exit, evidence.started, evidence.last_words);
  } else {
    death = {DeathReason::kInfrastructureError, "the VM's process was lost"};
  }
  // A guest that panics then resets, hangs or powers off, as it was told to: the panic is the reason.
  const bool by_guest =
      death.reason == DeathReason::kShutdown || death.reason == DeathReason::kReboot || death.reason == DeathReason::kCrash;
  if (by_guest && evidence.started) {
    if (const std::string panic = observe::panic_reason(evidence.console); !panic.empty())
      return {DeathReason::kCrash, "the guest's kernel panicked: " + panic};
  }
  return death;
}

uint64_t wall_clock_ns() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
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

std::string_view to_string(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kNone: return "none";
    case IsolationLevel::kProcess: return "process";
    case IsolationLevel::kHypervisor: return "hypervisor";
  }
  return "unknown";
}

std::optional<IsolationLevel> isolation_from(std::string_view name) {
  for (const auto level : {IsolationLevel::kNone, IsolationLevel::kProcess, IsolationLevel::kHypervisor}) {
    if (to_string(level) == name) return level;
  }
  return std::nullopt;
}

}  // namespace adyton::service
