// PID 1 of the micro guest. It prepares the machine, asks the host what to run, runs it, and turns the machine off.
#include <fcntl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "guest/exec_protocol.h"
#include "guest/init/agent.h"
#include "guest/init/exec_server.h"
#include "guest/init/filesystems.h"
#include "guest/init/log.h"
#include "guest/init/modules.h"
#include "guest/init/session.h"
#include "guest/init/vsock_client.h"
#include "guest/init/vsock_listener.h"

namespace adyton::guest {
namespace {

constexpr int kDeviceWaitMs = 10'000;

uint64_t monotonic_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

// The kernel starts init with /dev/console on 0, 1 and 2 when the initramfs has that node. Descriptors below 3 must be taken, so
// that the payload's streams never land there.
void occupy_standard_streams() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3) fd = ::dup(fd);
  if (fd >= 3) ::close(fd);
}

void set_clock(uint64_t wall_clock_ns) {
  if (wall_clock_ns == 0) return;
  const timespec t{static_cast<time_t>(wall_clock_ns / 1'000'000'000), static_cast<long>(wall_clock_ns % 1'000'000'000)};
  if (::clock_settime(CLOCK_REALTIME, &t) != 0) log_line(LogLevel::kError, "the clock cannot be set");
}

Result<void> prepare(const ExecRequest& request, ModuleLoader& modules) {
  set_clock(request.wall_clock_ns);
  if (::sethostname(request.hostname.c_str(), request.hostname.size()) != 0) return fail_errno("setting the host name " + request.hostname);
  TRY(modules.load_for_present_devices());
  if (request.root == RootMode::kDisk || !request.mounts.empty()) TRY(modules.load("disk"));
  // As systemd does: many descriptors for those who ask, select(2) stays safe for those who do not.
  const rlimit descriptors{1024, 524288};
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  return prepare_root(request);
}

// Serves further programs from a process of its own, which is in the payload's root, and ends with the payload as all processes do.
void start_exec_server(const ExecRequest& payload) {
  auto listener = listen_for_host(kExecPort);
  if (!listener) return log_line(LogLevel::kError, listener.error().message);
  const pid_t pid = ::fork();
  if (pid < 0) return log_line(LogLevel::kError, "no process for further programs");
  if (pid > 0) return;
  ExecServer(std::move(*listener), [] { return listen_for_host(kAnyPort); }, payload.env).run();
  ::_exit(0);
}

Result<void> run(uint64_t started_ns) {
  TRY(mount_kernel_filesystems());
  occupy_standard_streams();
  ModuleLoader modules = TRY(ModuleLoader::open());
  TRY(modules.load("base"));
  UniqueFd control = TRY(connect_to_host(kControlPort, kDeviceWaitMs));

  Hello hello;
  hello.init_started_ns = started_ns;
  hello.connected_ns = monotonic_ns();
  utsname name{};
  if (::uname(&name) == 0) hello.kernel_release = name.release;

  SessionHooks hooks;
  hooks.connect = [](uint32_t port) { return connect_to_host(port, 0); };
  hooks.prepare = [&](const ExecRequest& request) -> Result<void> {
    TRY(prepare(request, modules));
    start_exec_server(request);
    return {};
  };
  // PID 1 only: everything but init itself.
  hooks.kill_everything = [](pid_t) { ::kill(-1, SIGKILL); };
  hooks.set_clock = set_clock;
  hooks.start_agent = [program = std::make_shared<UniqueFd>(open_agent())] { return start_agent(*program); };
  return Session(std::move(control), std::move(hooks)).run(hello);
}

}  // namespace
}  // namespace adyton::guest

int main() {
  using namespace adyton;
  using namespace adyton::guest;
  const uint64_t started_ns = monotonic_ns();
  if (::getpid() != 1) {
    std::fputs("adyton's init runs as process 1 of a virtual machine only\n", stderr);
    return kExitError;
  }
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  if (const auto done = adyton::guest::run(started_ns); !done) log_line(LogLevel::kError, done.error().message);
  ::sync();
  ::reboot(RB_POWER_OFF);
  return kExitError;
}
