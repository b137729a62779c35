#include "cli/lifecycle.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <future>

#include "cli/message.h"
#include "cli/prepare.h"
#include "cli/run.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {
namespace {

int print_line(const std::string& text) { return print(text + "\n"); }

// Waits for the first thing that decides whether a VM has started.
class StartWatcher : public VirtualMachineCallback {
 public:
  void onPayloadStarted(VirtualMachine&) override { decide(std::nullopt); }
  void onStopped(VirtualMachine&, StopReason, const std::string& message) override { decide(message); }

  // Why it has not started; none: it has.
  std::optional<std::string> wait() { return decision_.get_future().get(); }

 private:
  void decide(std::optional<std::string> why) {
    if (!std::exchange(decided_, true)) decision_.set_value(std::move(why));
  }

  bool decided_ = false;  // on the library's thread
  std::promise<std::optional<std::string>> decision_;
};

// Starts it in the background and waits until that is known to have worked. Returns an exit code.
int start_detached(VirtualMachine& vm, bool quiet, const std::string& vsock_uds = {}) {
  Progress progress(STDERR_FILENO, !quiet && ::isatty(STDERR_FILENO) == 1);
  auto watcher = std::make_shared<StartWatcher>();
  vm.setCallback(watcher);
  VirtualMachine::RunOptions options;
  options.detached = true;
  options.vsock_socket = vsock_uds;
  options.progress = report_to(progress);
  if (auto started = vm.run(std::move(options)); !started) {
    progress.clear();
    say(started.error().message);
    return vm.getPayloadExitCode().value_or(guest::kExitError);
  }
  progress.step("Booting the guest");
  const auto why = watcher->wait();
  progress.clear();
  vm.clearCallback();
  if (!why) return 0;
  say(*why);
  return vm.getPayloadExitCode().value_or(guest::kExitError);
}

// One VM of a verb. Returns an exit code.
Result<int> start(VirtualMachineManager& manager, const std::string& name) {
  const auto vm = TRY(find_vm(manager, name));
  return start_detached(*vm, /*quiet=*/false);
}

Result<int> stop(VirtualMachineManager& manager, const std::string& name, std::optional<std::chrono::milliseconds> patience) {
  const auto vm = TRY(find_vm(manager, name));
  // What is wanted is so already, as for docker and systemctl.
  if (TRY(vm->getStatus()) != VmStatus::kRunning) return 0;
  TRY(patience ? vm->stop(*patience) : vm->stop());
  return 0;
}

Result<int> kill(VirtualMachineManager& manager, const std::string& name, std::optional<int> signal) {
  const auto vm = TRY(find_vm(manager, name));
  TRY(signal ? vm->signalPayload(*signal) : vm->kill());
  return 0;
}

Result<int> remove(VirtualMachineManager& manager, const std::string& name, bool force) {
  const auto vm = TRY(find_vm(manager, name));
  if (TRY(vm->getStatus()) == VmStatus::kRunning) {
    if (!force) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("'{}' runs: end it with 'adyton stop {}', or use 'adyton delete --force'", name, name));
    }
    TRY(vm->kill());
    const auto details = TRY(vm->getInfo());
    if (!details.persistent) return 0;  // nothing is left of it
  }
  TRY(manager.deleteVm(name));
  return 0;
}

// What `wait` makes of a VM's end.
Result<int> code_of(const std::optional<int>& payload_exit_code, const StopInfo& stop, bool custom) {
  if (payload_exit_code) return *payload_exit_code;
  if (custom && stop.reason == StopReason::kShutdown) return 0;
  return fail(ErrorCode::kUnavailable, stop.message);
}

Result<int> wait(VirtualMachineManager& manager, const std::string& name) {
  const auto vm = TRY(find_vm_or_end(manager, name));
  if (TRY(vm->getStatus()) == VmStatus::kRunning) {
    const auto stopped = vm->waitForStop();
    const auto info = vm->getInfo();
    return code_of(vm->getPayloadExitCode(), stopped.value_or(StopInfo{.message = "it ended"}), info && info->custom);
  }
  const auto last = TRY(last_run_of(*vm));
  return code_of(last.payload_exit_code, last.stop, last.custom);
}

Result<int> set_suspended(VirtualMachineManager& manager, const std::string& name, bool suspended) {
  const auto vm = TRY(find_vm(manager, name));
  if (TRY(vm->getStatus()) != VmStatus::kRunning) return fail(ErrorCode::kUnavailable, fmt::format("'{}' does not run", name));
  if (TRY(vm->getInfo()).suspended == suspended)
    return fail(ErrorCode::kUnavailable, fmt::format("'{}' is {}", name, suspended ? "suspended already" : "not suspended"));
  TRY(suspended ? vm->suspend() : vm->resume());
  return 0;
}

Result<int> apply(VirtualMachineManager& manager, const VerbOptions& options, const std::string& name) {
  switch (options.verb) {
    case VmVerb::kStart: return start(manager, name);
    case VmVerb::kStop: return stop(manager, name, options.patience);
    case VmVerb::kKill: return kill(manager, name, options.signal);
    case VmVerb::kDelete: return remove(manager, name, options.force);
    case VmVerb::kWait: return wait(manager, name);
    case VmVerb::kSuspend: return set_suspended(manager, name, true);
    case VmVerb::kResume: return set_suspended(manager, name, false);
  }
  return 0;
}

}  // namespace

int run_detached(const RunOptions& options) {
  const auto config = make_config(options, /*tty=*/false);
  if (!config) return failed(config.error());
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  const bool keep = options.name && !options.remove;
  const auto vm =
      keep ? (*manager)->create(*options.name, *config) : (*manager)->createTemporary(*config, options.name.value_or(""));
  if (!vm) return failed(vm.error());
  if (const int code = start_detached(**vm, options.quiet, options.vsock_uds.value_or("")); code != 0) {
    if (keep) discard_unused(**manager, *options.name);
    return code;
  }
  const auto info = (*vm)->getInfo();
  return info ? print_line(info->name) : failed(info.error());
}

int create(const CreateOptions& options) {
  if (const auto there = check_files(options.run); !there) {
    say(there.error().message);
    return there.error().code == ErrorCode::kNotFound ? guest::kExitNotFound : guest::kExitError;
  }
  const auto config = make_config(options.run, options.run.tty.value_or(false));
  if (!config) return failed(config.error());
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  const auto vm = (*manager)->create(*options.run.name, *config);
  return vm ? print_line((*vm)->getName()) : failed(vm.error());
}

int apply_verb(const VerbOptions& options) {
  if (options.attach) return start_attached(options.names.front());
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  int code = 0;
  for (const std::string& name : options.names) {
    const auto done = apply(**manager, options, name);
    const int one = done ? *done : failed(done.error());
    if (one != 0 || options.verb == VmVerb::kWait) code = one;
  }
  return code;
}

}  // namespace adyton::cli
