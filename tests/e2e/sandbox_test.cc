// The sandbox of adyton-vmm, seen from outside: what is in force while a guest runs, what happens when it is violated, and
// whether its policies say what the program does.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>

#include "cli/direct_vm.h"
#include "cli/prepare.h"
#include "cli/vm_process.h"
#include "observe/dump_stream.h"
#include "observe/record_ring.h"
#include "tests/e2e/adyton.h"
#include "tests/e2e/call_trace.h"
#include "tests/e2e/every_thread.h"
#include "vmm/control/protocol.h"

namespace adyton::e2e {
namespace {

namespace fs = std::filesystem;
namespace control = vmm::control;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kPatienceMilliseconds = 60'000;

bool can_trace() { return std::system("strace -o /dev/null true >/dev/null 2>&1") == 0; }

// A VM whose payload waits; adyton-vmm's process is found.
class RunningVm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kFilters) GTEST_SKIP() << "the sandbox is reduced under a sanitizer";
    ASSERT_TRUE(adyton_.wait_for("ready\n")) << adyton_.errors();
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string pid = entry.path().filename().string();
      if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
      if (contents(entry.path() / "comm") != "adyton-vmm\n") continue;
      // Its environment is its own business: look at whose child it is.
      std::istringstream stat(contents(entry.path() / "stat"));
      std::string skipped;
      pid_t parent = 0;
      stat >> skipped >> skipped >> skipped >> parent;
      for (const pid_t ours : adyton_.processes()) {
        if (ours == parent) vmm_ = static_cast<pid_t>(std::stol(pid));
      }
    }
    ASSERT_GT(vmm_, 0) << "no adyton-vmm runs";
  }
  [[nodiscard]] fs::path proc() const { return fs::path("/proc") / std::to_string(vmm_); }
  static std::string field(const std::string& status, const std::string& name) {
    const size_t at = status.find("\n" + name + ":\t");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 3;
    return status.substr(begin, status.find('\n', begin) - begin);
  }

  Adyton adyton_{{"run", "--no-service", "--smp", "2", probe(), "wait-signal", std::to_string(SIGTERM)}};
  pid_t vmm_ = 0;
};

TEST_F(RunningVm, EveryThreadIsConfined) {
  unsigned threads = 0;
  for (const auto& task : fs::directory_iterator(proc() / "task")) {
    const std::string status = contents(task.path() / "status");
    EXPECT_EQ(field(status, "NoNewPrivs"), "1") << status;
    EXPECT_EQ(field(status, "Seccomp"), "2") << status;
    if (const std::string filters = field(status, "Seccomp_filters"); !filters.empty()) {
      EXPECT_GE(std::stoi(filters), 2) << "only the process's filter, not the thread's: " << status;
    }
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) EXPECT_EQ(field(status, set), "0000000000000000") << set;
    ++threads;
  }
  EXPECT_GE(threads, 8u);  // main, two vCPUs, timers, irqfd, rtc, entropy, vsock
}

TEST_F(RunningVm, NothingOfTheHostIsInReach) {
  std::error_code error;
  const fs::path root = fs::read_symlink(proc() / "root", error);
  if (error) GTEST_SKIP() << "only root may look: " << error.message();
  // The fifth field of a line is where it is mounted (proc(5)); a chroot has no line for its own root, and no empty root can be
  // had there.
  if (contents("/proc/self/mountinfo").find(" / / ") == std::string::npos) GTEST_SKIP() << "this is a chroot";
  EXPECT_TRUE(fs::is_empty(proc() / "root"));
  for (const char* name : {"user", "mnt", "net", "ipc", "uts"}) {
    EXPECT_NE(fs::read_symlink(proc() / "ns" / name), fs::read_symlink(fs::path("/proc/self/ns") / name)) << name;
  }
}

TEST_F(RunningVm, NoMemoryIsWritableAndExecutable) {
  std::ifstream maps(proc() / "maps");
  if (!maps) GTEST_SKIP() << "only root may look";
  unsigned executable = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::string permissions = line.substr(line.find(' ') + 1, 4);
    EXPECT_FALSE(permissions[1] == 'w' && permissions[2] == 'x') << line;
    executable += permissions[2] == 'x' && permissions[3] == 's';
  }
  EXPECT_GT(executable, 0u) << "translated code is nowhere";
}

TEST_F(RunningVm, SurvivesBeingStoppedAndContinued) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::kill(vmm_, SIGSTOP), 0);
    ASSERT_EQ(::kill(vmm_, SIGCONT), 0);
  }
  adyton_.signal(SIGTERM);
  EXPECT_EQ(adyton_.finish(), 3) << adyton_.errors();
}

// strace makes a disk's thread call getuid() where it wanted to read.
TEST(Sandbox, AForbiddenCallEndsTheVmAndIsNamed) {
  if (!kFilters || !can_trace()) GTEST_SKIP() << "needs strace, and a sandbox that is not reduced by a sanitizer";
  TemporaryFolder folder;
  const std::string disk = folder.write("disk.img", std::string(1 << 20, '-'));
  Adyton adyton = Adyton::shell(
      R"(exec strace -f -qq -o /dev/null -e trace=preadv -e inject=preadv:retval=0:syscall=getuid "$ADYTON" run --no-service --disk "$1" "$PROBE" wait)",
      {disk});
  EXPECT_EQ(adyton.finish(), 125);
  EXPECT_EQ(adyton.errors(),
            "adyton: the virtual machine monitor was stopped: it made the system call getuid, which its sandbox forbids "
            "(thread virtio-blk)\n");
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

// The same with the service between: its word is what the user hears.
TEST(Sandbox, AForbiddenCallIsNamedByTheServiceToo) {
  if (!kFilters || !can_trace()) GTEST_SKIP() << "needs strace, and a sandbox that is not reduced by a sanitizer";
  TemporaryFolder folder;
  const std::string disk = folder.write("disk.img", std::string(1 << 20, '-'));
  // strace follows the service that is started, and ends with it.
  Adyton adyton = Adyton::shell(
      R"(mkdir "$2/adyton" && echo "idle_exit = 1" >"$2/adyton/adytond.toml" && export XDG_CONFIG_HOME="$2" &&
         exec strace -f -qq -o /dev/null -e trace=preadv -e inject=preadv:retval=0:syscall=getuid "$ADYTON" run --disk "$1" "$PROBE" wait)",
      {disk, folder.path()});
  EXPECT_EQ(adyton.finish(), 125);
  EXPECT_EQ(adyton.errors(),
            "adyton: the VM's process was stopped by its sandbox: it made the system call getuid, which its sandbox forbids "
            "(thread virtio-blk)\n");
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

// ---- the policies against what is really called

class Policies : public ::testing::Test {
 protected:
  // A program that stands for adyton-vmm and has its calls written to a file.
  std::string tracer() {
    const auto vmm = cli::find_vmm();
    EXPECT_TRUE(vmm);
    const std::string log = folder_.path() + "/trace" + std::to_string(logs_.size());
    logs_.push_back(log);
    return folder_.write("vmm" + std::to_string(logs_.size()),
                         "#!/bin/sh\nexec strace -f -qq -X raw -s 20 -o '" + log + "' '" + *vmm + "'\n", 0755);
  }
  // The client leaves; the VM ends by itself.
  static void wait_for_end(cli::VmProcess& vm) {
    vm.control().take().reset();
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, vm.pid(), 0)));
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ended, 1, kPatienceMilliseconds), 1) << "adyton-vmm does not end";
    EXPECT_EQ(vm.finish(), "exit code 0");
  }

  // A payload; `while_it_runs` gets its standard output, and what the session reads signals from.
  cli::Outcome run_payload(std::vector<std::string> command, const std::function<void(int output, int signals)>& while_it_runs);
  // Every device at work, in a guest that powers off.
  void run_devices();
  // A client that leaves while the payload runs and its streams are open.
  void run_abandoned();
  // The serial console; requests of every kind; a guest that goes on until it is stopped.
  void run_raw();
  // A guest that does not know of its watchdog.
  void run_hung();
  // A debugger that detaches, and one that kills.
  void debug(const std::string& path);

  TemporaryFolder folder_;
  std::vector<std::string> logs_;
};

cli::Outcome Policies::run_payload(std::vector<std::string> command, const std::function<void(int, int)>& while_it_runs) {
  cli::Progress progress(STDERR_FILENO, false);
  cli::RunOptions options;
  options.cpus = 2;
  options.command = std::move(command);
  options.disks = {{.path = folder_.write("disk.img", std::string(1 << 20, '-')), .read_only = false}};
  const auto made = cli::make_config(options, false);
  if (!made) return {.exit_code = -1, .message = made.error().message};
  auto prepared = cli::prepare_direct(*made, progress);
  if (!prepared) return std::move(prepared).error();
  int typed[2], out[2], err[2], signals[2];
  for (int* ends : {typed, out, err, signals}) EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ours[] = {UniqueFd(typed[1]), UniqueFd(out[0]), UniqueFd(err[0]), UniqueFd(signals[0]), UniqueFd(signals[1])};
  EXPECT_EQ(::write(typed[1], "typed\n", 6), 6);
  prepared->vm.fds.emplace_back(typed[0]);
  prepared->vm.vm.virtio_console = true;
  prepared->vm.vm.console_input = prepared->vm.fds.size() - 1;
  cli::SessionConfig config;
  config.console = std::move(prepared->console);
  config.wait_for_power_off = prepared->wait_for_power_off;
  config.stdio = {UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), UniqueFd(out[1]), UniqueFd(err[1])};
  config.signals = signals[0];

  auto vm = cli::VmProcess::spawn(tracer(), "traced");
  if (!vm) return {.exit_code = -1, .message = vm.error().message};
  cli::DirectVm handle(std::move(prepared->vm), vm->control());
  cli::ConsoleLog log;
  auto outcome = std::async(std::launch::async, [&] { return cli::Session(std::move(config), handle, log, progress).run(); });
  while_it_runs(out[0], signals[1]);
  outcome.wait();
  wait_for_end(*vm);
  return outcome.get();
}

std::string read_until_end(int fd) {
  std::string text;
  char buffer[256];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(got));
  return text;
}

void Policies::run_devices() {
  const cli::Outcome outcome = run_payload(
      {probe(), "devices"}, [](int output, int) { EXPECT_EQ(read_until_end(output), "disk: ok\nconsole: typed\nalarm: ok\n"); });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.message;
}

void Policies::run_abandoned() {
  const cli::Outcome outcome = run_payload({probe(), "ignore"}, [](int output, int signals) {
    char ready[7] = {};
    EXPECT_EQ(::read(output, ready, 6), 6) << ready;
    const signalfd_siginfo interrupt{.ssi_signo = SIGINT};
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(::write(signals, &interrupt, sizeof(interrupt)), static_cast<ssize_t>(sizeof(interrupt)));
    }
  });
  EXPECT_EQ(outcome.exit_code, 130) << outcome.message;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

void Policies::run_raw() {
  auto vm = cli::VmProcess::spawn(tracer(), "traced");
  ASSERT_TRUE(vm) << vm.error().message;
  int console[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console), 0);
  const UniqueFd ours(console[0]), theirs(console[1]);
  const UniqueFd kernel(::open(raw_kernel().c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<UniqueFd> answer;  // the descriptors of the last reply
  const auto ask = [&](uint32_t id, decltype(control::Request::body) body, std::span<const int> fds = {}) {
    ASSERT_TRUE(vm->control().send(*encode(control::Request{.id = id, .body = std::move(body)}), fds));
    auto packet = vm->control().receive();
    ASSERT_TRUE(packet) << packet.error().message;
    ASSERT_TRUE(control::decode_event(packet->text, packet->fds.size())) << packet->text;
    EXPECT_THAT(packet->text, Not(HasSubstr("error"))) << packet->text;
    answer = std::move(packet->fds);
  };
  const int fds[] = {kernel.get(), theirs.get()};
  ask(1,
      control::Configure{.cpus = 2, .memory = 64 << 20, .kernel = 0, .console_output = 1, .console_input = 1, .listen_ports = {}},
      fds);
  ask(2, control::Start{});
  // The greeting, and an echo for one byte.
  std::string seen;
  ASSERT_EQ(::write(ours.get(), "x", 1), 1);
  for (char c; seen.find('x') == std::string::npos && ::read(ours.get(), &c, 1) == 1;) seen.push_back(c);
  ask(3, control::Describe{});
  ask(4, control::Connect{.port = 1});
  const UniqueFd ring = observe::RecordRing::make_memory(1 << 16).value();
  const int memory = ring.get();
  ask(5, control::Capture{.ring = 0, .ports = {}}, std::span(&memory, 1));
  ask(6, control::Dump{});
  ASSERT_EQ(answer.size(), 1u);
  const UniqueFd core(::memfd_create("core", MFD_CLOEXEC));
  EXPECT_GT(observe::receive_dump(answer[0].get(), core.get()).value_or(0), 64u << 20);
  ask(7, control::Suspend{});
  ask(8, control::ReadStatistics{});
  ask(9, control::Resume{});
  const std::string path = folder_.path() + "/gdb";
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const int debugger = listener.get();
  ask(10, control::AttachDebugger{.listener = 0}, std::span(&debugger, 1));
  debug(path);
  wait_for_end(*vm);
}

void Policies::run_hung() {
  auto vm = cli::VmProcess::spawn(tracer(), "traced");
  ASSERT_TRUE(vm) << vm.error().message;
  const UniqueFd kernel(::open(raw_kernel().c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd console(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const int fds[] = {kernel.get(), console.get()};
  control::Configure configure{.cpus = 1, .memory = 64 << 20, .kernel = 0, .console_output = 1};
  configure.watchdog_seconds = 1;
  ASSERT_TRUE(vm->control().send(*encode(control::Request{.id = 1, .body = std::move(configure)}), fds));
  ASSERT_TRUE(vm->control().send(*encode(control::Request{.id = 2, .body = control::Start{}}), {}));
  for (std::string said; said.find("watchdog") == std::string::npos;) {
    const auto packet = vm->control().receive();
    ASSERT_TRUE(packet) << packet.error().message << " after " << said;
    said = packet->text;
    EXPECT_THAT(said, Not(HasSubstr("error")));
  }
  wait_for_end(*vm);
}

void Policies::debug(const std::string& path) {
  const sockaddr_un address = unix_address(path);
  for (const std::string_view last : {"$D#44", "$k#6b"}) {
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    std::string packets = "$?#3f$g#67";
    packets += last;
    ASSERT_EQ(::write(client.get(), packets.data(), packets.size()), static_cast<ssize_t>(packets.size()));
    EXPECT_THAT(read_until_end(client.get()), HasSubstr("$T05thread:1;#d7"));
  }
}

TEST_F(Policies, ListWhatIsCalledAndNothingElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root's strace may read the names of threads in a process that is not dumpable";
  if (!kFilters || !can_trace()) GTEST_SKIP() << "needs strace, and a sandbox that is not reduced by a sanitizer";
  run_devices();
  run_abandoned();
  run_raw();
  run_hung();
  if (HasFatalFailure()) return;
  CallTrace trace;
  for (const std::string& log : logs_) {
    const std::string text = contents(log);
    EXPECT_THAT(text, Not(HasSubstr("SIGSYS"))) << "a call that is made is not listed";
    add_trace(trace, text);
  }
  std::vector<std::string> needless, made;
  unsigned policies = 0;
  for (const auto& entry : fs::directory_iterator(ADYTON_POLICIES)) {
    if (entry.path().extension() != ".policy") continue;
    const std::string name = entry.path().stem().string();
    const auto rules = vmm::sandbox::parse_policy(name, contents(entry.path()));
    ASSERT_TRUE(rules) << rules.error().message;
    for (const vmm::sandbox::Rule& rule : *rules) {
      const bool exercised = is_exercised(rule, trace[name]);
      if (!rule.rare && !exercised) needless.push_back(name + ": " + rule.call + " (" + rule.reason + ")");
      // Nothing that the workload lacks can be needed for a call that it makes.
      if (rule.rare_because.starts_with("needs ") && exercised) made.push_back(name + ": " + rule.call + " (" + rule.reason + ")");
    }
    ++policies;
  }
  EXPECT_GE(policies, 11u);
  EXPECT_THAT(needless, IsEmpty()) << "calls that are listed and not marked as rare, but were never made";
  EXPECT_THAT(made, IsEmpty()) << "calls with a question mark for something that this workload is said not to have";
}

}  // namespace
}  // namespace adyton::e2e
