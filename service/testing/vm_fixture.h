// A VM of the service with a VMM that runs no guest (service/testing/fake_vmm.cc), and what its tests do to it.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "service/testing/recorder.h"
#include "service/vm.h"

namespace adyton::service::testing {

// Until the end of the stream.
inline std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

inline std::string read_exactly(int fd, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  for (ssize_t got; done < size && (got = ::read(fd, text.data() + done, size - done)) > 0;) done += static_cast<size_t>(got);
  text.resize(done);
  return text;
}

class VmTest : public ::testing::Test {
 protected:
  VmTest() { ::signal(SIGPIPE, SIG_IGN); }
  ~VmTest() override {
    ::unsetenv("FAKE_VMM");
    loop->call([&] {
      vm.reset();
      recorder.reset();
    });
  }

  void make(const std::string& script, std::vector<std::string> argv = {}, const std::function<void(VmSpec&)>& change = {},
            Vm::Times times = {}) {
    VmSpec spec;
    spec.name = "test";
    spec.machine.memory = 1 << 20;
    spec.machine.command_line = script;
    spec.machine.kernel = 0;
    spec.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!argv.empty()) spec.payload = guest::ExecRequest{.program = argv[0], .argv = argv};
    if (change) change(spec);
    recorder = std::make_shared<Recorder>();
    loop->call([&] {
      vm = std::make_shared<Vm>(*loop, program, 2048, std::move(spec), Vm::Holdings{.share = take_share(), .lease = {}}, times);
      EXPECT_TRUE(vm->observe(recorder));
    });
  }
  Budget::Share take_share() { return *budget->take(1, {.cpus = 1, .memory = 1}); }

  Outcome<> start() {
    return loop->await<Outcome<>>([&](auto done) { vm->start(done); });
  }
  Outcome<> stop(std::optional<std::chrono::milliseconds> patience = {}) {
    return loop->await<Outcome<>>([&](auto done) { vm->stop(done, patience); });
  }
  Outcome<> kill() {
    return loop->await<Outcome<>>([&](auto done) { vm->kill({DeathReason::kKilled, "killed"}, done); });
  }
  Outcome<UniqueFd> connect(uint32_t port) {
    return loop->await<Outcome<UniqueFd>>(
        [&](auto done) { vm->connect(port, [done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); }); });
  }
  Outcome<VmStatistics> statistics() {
    return loop->await<Outcome<VmStatistics>>([&](auto done) { vm->statistics(done); });
  }
  Outcome<> listen(
      uint32_t port, Vm::StreamHandler handler = [](UniqueFd) {}) {
    return loop->await<Outcome<>>([&](auto done) { vm->listen(port, handler, done); });
  }
  Outcome<> suspend() {
    return loop->await<Outcome<>>([&](auto done) { vm->suspend(done); });
  }
  Outcome<> resume() {
    return loop->await<Outcome<>>([&](auto done) { vm->resume(done); });
  }
  bool suspended() {
    return loop->call([&] { return vm->info().suspended; });
  }
  VmState state() {
    return loop->call([&] { return vm->state(); });
  }
  UniqueFd open_log() {
    return loop->call([&] { return *vm->log().open(true); });
  }
  UniqueFd open_console() {
    return loop->call([&] { return *vm->console().open(true); });
  }

  const std::string program = ADYTON_FAKE_VMM;
  std::unique_ptr<EventLoop> loop = *EventLoop::start();
  std::shared_ptr<Budget> budget = Budget::make({.memory = 10});
  std::shared_ptr<Vm> vm;
  std::shared_ptr<Recorder> recorder;
};

}  // namespace adyton::service::testing
