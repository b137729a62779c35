#include "vmm/sandbox/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "base/thread.h"
#include "base/unique_fd.h"
#include "vmm/sandbox/capabilities.h"
#include "vmm/sandbox/filter.h"
#include "vmm/sandbox/limits.h"
#include "vmm/sandbox/namespaces.h"
#include "vmm/sandbox/root.h"
#include "vmm/sandbox/violation.h"

namespace adyton::vmm::sandbox {
namespace {

using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kFilters = false;
#else
constexpr bool kFilters = true;
#endif

constexpr const char* kThreadKinds[] = {"setup",        "control", "vcpu",  "virtio-balloon", "virtio-blk", "virtio-console", "virtio-rng",
                                        "virtio-vsock", "timers",  "irqfd", "rtc",        "serial", "watchdog", "gdb", "dump"};

struct End {
  int status = 0;
  std::string report;  // what came over the control socket
  [[nodiscard]] int exit_code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
  [[nodiscard]] int signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
};

// Runs `body` in a process of its own, which ends with the code that it returns.
End in_child(const std::function<int(int control)>& body) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) std::abort();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(sockets[0]);
    ::_exit(body(sockets[1]));
  }
  ::close(sockets[1]);
  End end;
  char text[4096];
  for (ssize_t got; (got = ::read(sockets[0], text, sizeof(text))) > 0;) end.report.append(text, static_cast<size_t>(got));
  ::close(sockets[0]);
  ::waitpid(pid, &end.status, 0);
  return end;
}

// 0: the sandbox was entered and `body` came back.
End in_sandbox(const char* thread, const std::function<void()>& body) {
  return in_child([&](int control) {
    if (!enter_process(control)) return 90;
    if (std::string(thread) != kSetupPolicy) enter_thread(thread);
    body();
    ::_exit(0);
    return 0;
  });
}

bool in_force(const Report& report, const std::string& name) {
  for (const Measure& m : report) {
    if (m.name == name) return m.in_force;
  }
  return false;
}

class Forbidden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!kFilters) GTEST_SKIP() << "no filters under a sanitizer";
  }
  void expect_forbidden(const std::string& call, const std::function<void()>& body) {
    const End end = in_sandbox(GetParam(), body);
    EXPECT_EQ(end.exit_code(), kForbiddenCallExit) << call << ": signal " << end.signal() << ", exit code " << end.exit_code();
    EXPECT_THAT(end.report, HasSubstr(R"("reason":"forbidden-call","message":"it made the system call )" + call +
                                      ", which its sandbox forbids (thread "));
  }
};

TEST_P(Forbidden, Files) {
  expect_forbidden("openat", [] { (void)::open("/etc/passwd", O_RDONLY); });
  expect_forbidden("open", [] { ::syscall(SYS_open, "/etc/passwd", O_RDONLY); });
  expect_forbidden("openat2", [] { ::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0); });
  expect_forbidden("mount", [] { ::mount("none", "/", "tmpfs", 0, nullptr); });
  expect_forbidden("unlink", [] { ::unlink("/x"); });
  expect_forbidden("chroot", [] { (void)!::chroot("/"); });
  expect_forbidden("name_to_handle_at", [] { ::syscall(SYS_name_to_handle_at, AT_FDCWD, "/", nullptr, nullptr, 0); });
}

TEST_P(Forbidden, Network) {
  expect_forbidden("socket", [] { (void)::socket(AF_INET, SOCK_STREAM, 0); });
  expect_forbidden("connect", [] {
    const sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/run/x"};
    (void)::connect(0, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  });
  expect_forbidden("bind", [] { (void)::bind(0, nullptr, 0); });
}

TEST_P(Forbidden, OtherProcesses) {
  expect_forbidden("execve", [] {
    char* const none[] = {nullptr};
    ::execve("/bin/true", none, none);
  });
  expect_forbidden("clone", [] { (void)!::fork(); });
  expect_forbidden("vfork", [] { ::syscall(SYS_vfork); });
  expect_forbidden("kill", [] { ::kill(1, 0); });
  expect_forbidden("tgkill", [] { ::syscall(SYS_tgkill, 1, 1, SIGTERM); });
  expect_forbidden("ptrace", [] { ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); });
  expect_forbidden("process_vm_writev", [] { ::syscall(SYS_process_vm_writev, 1, nullptr, 0, nullptr, 0, 0); });
  expect_forbidden("pidfd_open", [] { ::syscall(SYS_pidfd_open, 1, 0); });
}

TEST_P(Forbidden, Privilege) {
  expect_forbidden("unshare", [] { ::unshare(CLONE_NEWUSER); });
  expect_forbidden("setns", [] { ::syscall(SYS_setns, 0, 0); });
  expect_forbidden("setuid", [] { (void)!::setuid(0); });
  expect_forbidden("capset", [] { ::syscall(SYS_capset, nullptr, nullptr); });
  expect_forbidden("bpf", [] { ::syscall(SYS_bpf, 0, nullptr, 0); });
  expect_forbidden("io_uring_setup", [] { ::syscall(SYS_io_uring_setup, 1, nullptr); });
  expect_forbidden("perf_event_open", [] { ::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); });
  expect_forbidden("keyctl", [] { ::syscall(SYS_keyctl, 0); });
  expect_forbidden("prctl", [] { ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); });
}

TEST_P(Forbidden, AnotherHandlerForWhatIsForbidden) {
  expect_forbidden("rt_sigaction", [] { ::signal(SIGSYS, SIG_IGN); });
}

TEST_P(Forbidden, WritableCode) {
  static char page[2 * 4096];
  char* inside = page + (4096 - reinterpret_cast<uintptr_t>(page) % 4096);
  expect_forbidden("mprotect", [&] { ::mprotect(inside, 4096, PROT_READ | PROT_EXEC); });
  expect_forbidden("mprotect", [&] { ::mprotect(inside, 4096, PROT_READ | PROT_WRITE | PROT_EXEC); });
  expect_forbidden("mmap",
                   [] { (void)::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); });
  if (std::string(GetParam()) == kSetupPolicy) return;
  expect_forbidden("mmap", [] { (void)::mmap(nullptr, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); });
  expect_forbidden("memfd_create", [] { (void)::memfd_create("x", 0); });
  expect_forbidden("seccomp", [] { ::syscall(SYS_seccomp, 0, 0, nullptr); });
}

TEST_P(Forbidden, CallsThatDoNotExist) {
  expect_forbidden("number 999", [] { ::syscall(999); });
}

#if defined(__x86_64__)
// There, numbers mean other calls: the process dies before anything can mistake them.
TEST_P(Forbidden, CallsOfOtherArchitectures) {
  EXPECT_EQ(in_sandbox(GetParam(), [] { ::syscall(0x40000000 | SYS_getpid); }).signal(), SIGSYS) << "x32";
  const End i386 = in_sandbox(GetParam(), [] {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "memory");
  });
  // Linux without 32-bit emulation raises SIGSEGV.
  EXPECT_TRUE(i386.signal() == SIGSYS || i386.signal() == SIGSEGV) << i386.exit_code();
}
#endif

INSTANTIATE_TEST_SUITE_P(InEveryThread, Forbidden, ::testing::ValuesIn(kThreadKinds), [](const auto& test) {
  std::string name = test.param;
  std::erase(name, '-');
  return name;
});

TEST(Sandbox, ThreadsConfineThemselves) {
  if (!kFilters) GTEST_SKIP() << "no filters under a sanitizer";
  const End end = in_child([](int control) {
    if (!enter_process(control)) return 90;
    start_thread("vcpu17", [] { ::sched_yield(); })->join();
    start_thread("vcpu18", [] { (void)::open("/etc/passwd", O_RDONLY); })->join();
    return 91;
  });
  EXPECT_EQ(end.exit_code(), kForbiddenCallExit);
  EXPECT_THAT(end.report, HasSubstr("openat, which its sandbox forbids (thread vcpu18)\"}"));
}

TEST(Sandbox, AThreadWithoutAPolicyDoesNotRun) {
  if (!kFilters) GTEST_SKIP() << "no filters under a sanitizer";
  const End end = in_child([](int control) {
    if (!enter_process(control)) return 90;
    start_thread("stranger", [] { ::_exit(91); })->join();
    return 92;
  });
  EXPECT_EQ(end.exit_code(), EXIT_FAILURE);
}

TEST(Sandbox, AnAbortIsAFaultAndNotAForbiddenCall) {
  if (!kFilters) GTEST_SKIP() << "no filters under a sanitizer";
  const End end = in_sandbox("vcpu", [] { std::abort(); });
  EXPECT_EQ(end.exit_code(), kForbiddenCallExit);
  EXPECT_THAT(end.report,
              HasSubstr("\"reason\":\"internal-error\",\"message\":\"the virtual machine monitor aborted (thread vcpu)\"}"));
}

TEST(Sandbox, MemoryAndLocksAreThere) {
  const End end = in_sandbox("vcpu", [] {
    for (size_t size = 1; size < size_t{1} << 28; size *= 3) {
      void* block = std::malloc(size);
      if (block == nullptr) ::_exit(91);
      std::free(block);
    }
  });
  EXPECT_EQ(end.exit_code(), 0) << end.report;
}

// malloc() opens a file of /proc when it first gives memory of a thread's arena back, unless it is told never to.
TEST(Sandbox, MemoryOfThreadsIsGivenBackWithoutLookingAtProc) {
  const End end = in_child([](int control) {
    if (!enter_process(control)) return 90;
    for (int i = 0; i < 20; ++i) {
      start_thread("vcpu" + std::to_string(i), [] {
        std::vector<void*> blocks;
        for (int n = 0; n < 1000; ++n) blocks.push_back(std::malloc(60'000));
        while (!blocks.empty()) {
          std::free(blocks.back());
          blocks.pop_back();
        }
      })->join();
    }
    return 0;
  });
  EXPECT_EQ(end.exit_code(), 0) << end.report;
}

TEST(Sandbox, ManyThreadsShareTheArenas) {
  const End end = in_child([](int control) {
    if (!enter_process(control)) return 90;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 40; ++i) {
      threads.push_back(std::move(*start_thread("vcpu" + std::to_string(i), [](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          std::free(std::malloc(100'000));
          ::sched_yield();
        }
      })));
    }
    threads.clear();
    return 0;
  });
  EXPECT_EQ(end.exit_code(), 0) << end.report;
}

TEST(Sandbox, NobodyOfTheSameUserMayLookIn) {
  const End end = in_child([](int control) {
    const auto report = enter_process(control);
    return report && in_force(*report, "no new privileges") ? 0 : 90;
  });
  EXPECT_EQ(end.exit_code(), 0) << end.report;
}

// --- the parts

TEST(Sandbox, TheRootIsEmptyAndReadOnly) {
  const End end = in_child([](int) {
    Report report;
    enter_namespaces(report);
    if (!in_force(report, kMountNamespace)) return 77;
    if (auto done = enter_empty_root(); !done) {
      std::fprintf(stderr, "%s\n", done.error().message.c_str());
      return done.error().code == ErrorCode::kUnsupported ? 78 : 1;
    }
    const auto count = [](const char* path) {
      int entries = 0;
      DIR* directory = ::opendir(path);
      if (directory == nullptr) return -1;
      while (::readdir(directory) != nullptr) ++entries;
      ::closedir(directory);
      return entries;
    };
    if (count("/") != 2 || count(".") != 2 || count("..") != 2) return 2;  // "." and ".."
    if (::open("/x", O_CREAT | O_RDWR, 0600) >= 0 || errno != EROFS) return 3;
    if (::access("/proc", F_OK) == 0 || ::access("../../etc/passwd", F_OK) == 0) return 4;
    return 0;
  });
  if (end.exit_code() == 77) GTEST_SKIP() << "this machine permits no mount namespace";
  if (end.exit_code() == 78) GTEST_SKIP() << "this is a chroot";
  EXPECT_EQ(end.exit_code(), 0);
}

TEST(Sandbox, TheNetworkIsNotTheHosts) {
  const End end = in_child([](int) {
    Report report;
    enter_namespaces(report);
    if (!in_force(report, "network namespace")) return 77;
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    for (int index = 1; index < 100; ++index) {
      request.ifr_ifindex = index;
      if (::ioctl(fd, SIOCGIFNAME, &request) != 0) continue;
      if (std::string(request.ifr_name) != "lo") continue;  // tunnels that some kernels put into each namespace are down as well
      if (::ioctl(fd, SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) != 0) return 1;
    }
    return 0;
  });
  if (end.exit_code() == 77) GTEST_SKIP() << "this machine permits no network namespace";
  EXPECT_EQ(end.exit_code(), 0);
}

TEST(Sandbox, HasNoCapabilities) {
  const End end = in_child([](int) {
    Report report;
    drop_privileges(report);
    if (!in_force(report, "no capabilities") || !in_force(report, "no new privileges")) return 1;
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct sets[2] = {};
    if (::syscall(SYS_capget, &header, sets) != 0) return 2;
    for (const auto& set : sets) {
      if (set.effective != 0 || set.permitted != 0 || set.inheritable != 0) return 3;
    }
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 4;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0) return 5;
    if (::geteuid() == 0 && ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0) return 6;
    if (::chroot("/") == 0) return 7;
    return 0;
  });
  EXPECT_EQ(end.exit_code(), 0);
}

TEST(Sandbox, FilesKeepTheirSize) {
  char name[] = "/tmp/adyton-sandbox-test.XXXXXX";
  const UniqueFd file(::mkstemp(name));
  ASSERT_TRUE(file.valid());
  ::unlink(name);
  const End end = in_child([&](int) {
    if (!limit_resources() || !limit_file_size(4096)) return 1;
    if (::pwrite(file.get(), "x", 1, 4095) != 1) return 2;
    if (::pwrite(file.get(), "x", 1, 4096) != -1 || errno != EFBIG) return 3;
    rlimit core{};
    if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) return 4;
    return 0;
  });
  EXPECT_EQ(end.exit_code(), 0);
}

// --- hosts that permit less

// Whoever has no privilege and may not make user namespaces gets no namespace at all, and is told so; the filters are there all
// the same.
TEST(Sandbox, WithoutUserNamespaces) {
  const End end = in_child([](int control) {
    const auto user = std::to_string(::geteuid()), group = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER) != 0) return 77;
    std::ofstream("/proc/self/setgroups") << "deny" << std::flush;
    std::ofstream("/proc/self/uid_map") << user + " " + user + " 1" << std::flush;
    std::ofstream("/proc/self/gid_map") << group + " " + group + " 1" << std::flush;
    if (!(std::ofstream("/proc/sys/user/max_user_namespaces") << "0" << std::flush)) return 77;
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct nothing[2] = {};
    ::syscall(SYS_capset, &header, nothing);
    const auto report = enter_process(control);
    if (!report) return 1;
    for (const Measure& m : *report) {
      const bool optional = m.name.ends_with("namespace") || m.name == "empty root";
      const bool filters = m.name == "system call filters";
      if (m.in_force != (filters ? kFilters : !optional)) return 2;
      if (!m.in_force && m.detail.empty()) return 3;
    }
    if (kFilters) ::open("/etc/passwd", O_RDONLY);
    ::_exit(kForbiddenCallExit);
  });
  if (end.exit_code() == 77)
    GTEST_SKIP() << "this machine permits no user namespace, which is what the other tests run with then";
  EXPECT_EQ(end.exit_code(), kForbiddenCallExit) << end.report;
  if (kFilters) { EXPECT_THAT(end.report, HasSubstr("openat")); }
}

TEST(Sandbox, AsAnOrdinaryUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "all the other tests do that";
  const End end = in_child([](int control) {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return 77;
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // as after execve()
    const auto report = enter_process(control);
    if (!report || !in_force(*report, "no capabilities") || in_force(*report, "system call filters") != kFilters) return 1;
    if (in_force(*report, "user namespace") && kFilters && !in_force(*report, "empty root")) return 2;
    return 0;
  });
  if (end.exit_code() == 77) GTEST_SKIP() << "this root may not become anybody else";
  EXPECT_EQ(end.exit_code(), 0) << end.report;
}

}  // namespace
}  // namespace adyton::vmm::sandbox
