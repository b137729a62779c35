// The client of the fault tests: a program of its own, so that it can be killed.
//
//   run NAME PAYLOAD ARGUMENT...   a persistent VM from its creation to its deletion
//   keep NAME PAYLOAD              makes a record, and leaves it
//   churn PAYLOAD COUNT            makes, changes and deletes records of some size, whatever fails
//   check KERNEL                   reads every record, deletes those whose names do not begin with "kept", and runs KERNEL
//
// It says a line for each step, and each thing that happens; `run` takes the lines "stop" and "kill-payload".
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "adyton/adyton.h"

namespace adyton::faults {
namespace {

using namespace std::chrono_literals;

std::mutex output_mutex;

void say(const std::string& line) {
  const std::lock_guard lock(output_mutex);
  const std::string text = line + "\n";
  (void)!::write(1, text.data(), text.size());
}

[[noreturn]] void give_up(const std::string& what, const Error& error) {
  say(what + "-failed " + error.message);
  ::_exit(3);
}

template <typename T>
T need(const std::string& what, Result<T> result) {
  if (!result) give_up(what, result.error());
  return std::move(*result);
}

std::shared_ptr<VirtualMachineManager> connect() {
  return need("connect", VirtualMachineManager::connect({.start_service = false}));
}

VirtualMachineConfig config_of(const std::string& payload, std::vector<std::string> arguments, size_t ballast = 0) {
  const char* timeout = std::getenv("FAULT_BOOT_TIMEOUT");
  return need("config", VirtualMachineConfig::Builder()
                            .setPayload(payload)
                            .setArguments(std::move(arguments))
                            .setEnvironment({"BALLAST=" + std::string(ballast, 'x')})
                            .setMemoryBytes(128 << 20)
                            .setIsolation(IsolationLevel::kNone)
                            .setDebugLevel(DebugLevel::kFull)
                            .setVmOutputCaptured(true)
                            .setBootTimeoutMillis(timeout != nullptr ? static_cast<uint32_t>(std::atoi(timeout)) : 60'000)
                            .build());
}

class Events : public VirtualMachineCallback {
 public:
  void onPayloadStarted(VirtualMachine&) override { say("run"); }
  void onPayloadFinished(VirtualMachine&, int exit_code) override { say(fmt::format("finished {}", exit_code)); }
  void onStopped(VirtualMachine&, StopReason reason, const std::string& message) override {
    say(fmt::format("stopped {}: {}", to_string(reason), message));
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 120s, [&] { return stopped_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

// Takes orders beside what the main thread does.
class Orders {
 public:
  explicit Orders(std::shared_ptr<VirtualMachine> vm) : vm_(std::move(vm)) {
    std::thread([this] {
      for (std::string order; std::getline(std::cin, order);) {
        if (order == "stop") stop();
        if (order == "kill-payload") {
          const auto killed = vm_->signalPayload(SIGKILL);
          say(killed ? "signalled" : "signal-failed " + killed.error().message);
        }
      }
    }).detach();
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = true;
      if (!runs_) return;
    }
    say("stopping");
    const auto stopped = vm_->stop();
    say(stopped ? "stop-done" : "stop-failed " + stopped.error().message);
  }
  void now_runs() {
    bool late = false;
    {
      const std::lock_guard lock(mutex_);
      runs_ = true;
      late = wanted_;
    }
    if (late) stop();
  }

 private:
  const std::shared_ptr<VirtualMachine> vm_;
  std::mutex mutex_;
  bool runs_ = false;
  bool wanted_ = false;
};

int run(const std::string& name, const std::string& payload, std::vector<std::string> arguments) {
  say("create");
  const auto manager = connect();
  const auto vm = need("create", manager->create(name, config_of(payload, std::move(arguments))));
  const auto events = std::make_shared<Events>();
  vm->setCallback(events);
  auto* orders = new Orders(vm);  // lives as long as its thread
  VirtualMachine::RunOptions options;
  if (const char* console = std::getenv("FAULT_CONSOLE")) {
    options.console_output.reset(::open(console, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
  say("boot");
  if (const auto started = vm->run(std::move(options)); !started) {
    say("run-failed " + started.error().message);
  } else {
    orders->now_runs();
    if (!vm->waitForStop(120s) || !events->wait()) say("hangs");
  }
  const auto deleted = manager->deleteVm(name);
  say(deleted ? "deleted" : "delete-failed " + deleted.error().message);
  say("end");
  return 0;
}

int keep(const std::string& name, const std::string& payload) {
  need("create", connect()->create(name, config_of(payload, {"exit", name}, 2000)));
  say("end");
  return 0;
}

int churn(const std::string& payload, int count) {
  const auto manager = connect();
  for (int i = 0; i < count; ++i) {
    const std::string name = fmt::format("churn-{}", i % 3);
    const auto outcome = [&]() -> Result<void> {
      const size_t ballast = static_cast<size_t>(i) * 997 % 9000;
      auto vm = TRY(manager->getOrCreate(name, config_of(payload, {"exit", name}, ballast)));
      TRY(vm->setConfig(config_of(payload, {"exit", name}, ballast + 500)));
      if (i % 4 == 3) TRY(manager->deleteVm(name));
      return {};
    }();
    say(outcome ? "made" : "refused " + outcome.error().message);
  }
  say("end");
  return 0;
}

int check(const std::string& kernel) {
  const auto manager = connect();
  for (const std::string& name : need("records", manager->listRecords())) {
    const auto vm = need("record " + name, manager->get(name));
    if (!vm) continue;
    const auto config = need("config of " + name, vm->getConfig());
    const auto& arguments = config.getArguments();
    if (!name.starts_with("kept")) {
      need("instance of " + name, vm->toDescriptor());
      if (const auto deleted = manager->deleteVm(name); !deleted) give_up("delete", deleted.error());
    } else if (arguments.size() != 2 || arguments[1] != name) {
      say("not-whole " + name);
    } else {
      say("whole " + name);
    }
  }
  const auto raw = need(
      "config",
      VirtualMachineConfig::Builder().setKernel(kernel).setMemoryBytes(16 << 20).setIsolation(IsolationLevel::kNone).build());
  const auto vm = need("raw", manager->createTemporary(raw));
  if (const auto started = vm->run(); !started) give_up("raw-run", started.error());
  if (const auto killed = vm->kill(); !killed) give_up("raw-kill", killed.error());
  say("end");
  return 0;
}

int main_of(const std::vector<std::string>& words) {
  ::signal(SIGPIPE, SIG_IGN);
  if (const char* limit = std::getenv("FAULT_DESCRIPTORS")) {
    const rlimit few{.rlim_cur = static_cast<rlim_t>(std::atoi(limit)), .rlim_max = 4096};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  if (words.size() >= 3 && words[0] == "run") return run(words[1], words[2], {words.begin() + 3, words.end()});
  if (words.size() == 3 && words[0] == "keep") return keep(words[1], words[2]);
  if (words.size() == 3 && words[0] == "churn") return churn(words[1], std::atoi(words[2].c_str()));
  if (words.size() == 2 && words[0] == "check") return check(words[1]);
  say("usage");
  return 2;
}

}  // namespace
}  // namespace adyton::faults

int main(int argc, char** argv) { ::_exit(adyton::faults::main_of({argv + 1, argv + argc})); }
