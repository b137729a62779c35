// What the kernel does for a program: system calls, page faults, processes, signals, files.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdlib>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

constexpr size_t kPage = 4096;

int opened(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) skip("a file it needs is not there");
  return fd;
}

uint64_t run_getppid(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) ::syscall(SYS_getppid);
  return 0;
}

template <size_t kSize>
uint64_t run_read_zero(uint64_t iterations) {
  static std::array<char, kSize> buffer;
  static const int fd = opened("/dev/zero", O_RDONLY);
  for (uint64_t i = 0; i < iterations; ++i) {
    if (::read(fd, buffer.data(), kSize) != ssize_t{kSize}) fail("a read of /dev/zero failed");
  }
  return 0;
}

uint64_t run_write_null(uint64_t iterations) {
  static const int fd = opened("/dev/null", O_WRONLY);
  for (uint64_t i = 0; i < iterations; ++i) {
    if (::write(fd, "x", 1) != 1) fail("a write to /dev/null failed");
  }
  return 0;
}

uint64_t run_pipe_byte(uint64_t iterations) {
  static int fds[2] = {-1, -1};
  if (fds[0] < 0 && ::pipe(fds) != 0) fail("pipe failed");
  char byte = 1;
  for (uint64_t i = 0; i < iterations; ++i) {
    if (::write(fds[1], &byte, 1) != 1 || ::read(fds[0], &byte, 1) != 1) fail("a pipe failed");
  }
  return 0;
}

uint64_t run_clock(uint64_t iterations) {
  timespec t{};
  for (uint64_t i = 0; i < iterations; ++i) ::clock_gettime(CLOCK_MONOTONIC, &t);
  return 0;
}

uint64_t run_stat(uint64_t iterations) {
  struct stat info;
  for (uint64_t i = 0; i < iterations; ++i) {
    if (::stat("/proc/self/status", &info) != 0) skip("/proc is not mounted");
  }
  return 0;
}

uint64_t run_open_close(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) ::close(opened("/dev/null", O_RDONLY));
  return 0;
}

// Writes and reads back a file of 1 MiB on tmpfs.
uint64_t run_file(uint64_t iterations) {
  static std::array<char, 64 << 10> buffer;
  for (uint64_t i = 0; i < iterations; ++i) {
    const int fd = opened("/tmp/guest-bench.file", O_RDWR | O_CREAT | O_TRUNC);
    ::unlink("/tmp/guest-bench.file");
    for (int part = 0; part < 16; ++part) {
      if (::write(fd, buffer.data(), buffer.size()) != static_cast<ssize_t>(buffer.size())) fail("a write to /tmp failed");
    }
    ::lseek(fd, 0, SEEK_SET);
    for (int part = 0; part < 16; ++part) {
      if (::read(fd, buffer.data(), buffer.size()) != static_cast<ssize_t>(buffer.size())) fail("a read from /tmp failed");
    }
    ::close(fd);
  }
  return 0;
}

uint8_t* mapped(size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap failed");
  return static_cast<uint8_t*>(memory);
}

constexpr size_t kFaultPages = 64;

uint64_t run_page_fault(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    uint8_t* memory = mapped(kFaultPages * kPage);
    for (size_t page = 0; page < kFaultPages; ++page) *const_cast<volatile uint8_t*>(memory + page * kPage) = 1;
    ::munmap(memory, kFaultPages * kPage);
  }
  return 0;
}

uint64_t run_mmap(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    uint8_t* memory = mapped(kPage);
    *const_cast<volatile uint8_t*>(memory) = 1;
    ::munmap(memory, kPage);
  }
  return 0;
}

uint64_t run_mprotect(uint64_t iterations) {
  static uint8_t* memory = mapped(4 * kPage);
  for (uint64_t i = 0; i < iterations; ++i) {
    *const_cast<volatile uint8_t*>(memory + kPage) = 1;
    ::mprotect(memory, 4 * kPage, PROT_READ);
    ::mprotect(memory, 4 * kPage, PROT_READ | PROT_WRITE);
  }
  return 0;
}

void reap(pid_t child, const char* what) {
  int status = 0;
  if (child < 0) fail(what);
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) skip("exec does not work here");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail(what);
}

uint64_t run_fork(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    reap(child, "fork failed");
  }
  return 0;
}

uint64_t fork_exec(const char* program, uint64_t iterations) {
  char name[] = "guest-bench", argument[] = "--nothing";
  char* const argv[] = {name, argument, nullptr};
  char* const envp[] = {nullptr};
  for (uint64_t i = 0; i < iterations; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execve(program, argv, envp);
      ::_exit(127);
    }
    reap(child, "fork and exec failed");
  }
  return 0;
}

uint64_t run_fork_exec(uint64_t iterations) { return fork_exec("/proc/self/exe", iterations); }

constexpr const char* kDynamicProgram = "/bin/guest-nothing";
bool have_dynamic_program() { return ::access(kDynamicProgram, X_OK) == 0; }
uint64_t run_fork_exec_dynamic(uint64_t iterations) { return fork_exec(kDynamicProgram, iterations); }

uint64_t run_thread(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, [](void* argument) { return argument; }, nullptr) != 0)
      fail("a thread cannot be started");
    ::pthread_join(thread, nullptr);
  }
  return 0;
}

volatile sig_atomic_t signals_seen;

uint64_t run_signal(uint64_t iterations) {
  ::signal(SIGUSR1, [](int) { signals_seen = signals_seen + 1; });
  const pid_t self = ::getpid();
  for (uint64_t i = 0; i < iterations; ++i) ::kill(self, SIGUSR1);
  return 0;
}

sigjmp_buf after_fault;

// In a function of its own: locals of the loop do not live across sigsetjmp.
__attribute__((noinline)) void load_from_nowhere() {
  const uint8_t* nowhere = reinterpret_cast<const uint8_t*>(kPage);
  keep(nowhere);
  if (sigsetjmp(after_fault, 1) == 0 && *const_cast<const volatile uint8_t*>(nowhere) != 0) fail("page 1 is mapped");
}

// A load from an address that is not mapped, handled and left by siglongjmp, as managed runtimes do for null checks.
uint64_t run_segv(uint64_t iterations) {
  ::signal(SIGSEGV, [](int) { ::siglongjmp(after_fault, 1); });
  for (uint64_t i = 0; i < iterations; ++i) load_from_nowhere();
  return 0;
}

}  // namespace

std::span<const Benchmark> system_benchmarks() {
  static const Benchmark all[] = {
      {"sys.getppid", "ns", 1, run_getppid},
      {"sys.read_zero_1", "ns", 1, run_read_zero<1>},
      {"sys.read_zero_64K", "MB/s", 64 << 10, run_read_zero<64 << 10>},
      {"sys.write_null_1", "ns", 1, run_write_null},
      {"sys.pipe_byte", "ns", 1, run_pipe_byte},
      {"sys.clock_gettime", "ns", 1, run_clock},
      {"sys.stat", "ns", 1, run_stat},
      {"sys.open_close", "ns", 1, run_open_close},
      {"sys.file_1M", "MB/s", 2 << 20, run_file},
      {"sys.page_fault", "ns", kFaultPages, run_page_fault},
      {"sys.mmap_munmap", "ns", 1, run_mmap},
      {"sys.mprotect", "ns", 2, run_mprotect},
      {"sys.fork", "ns", 1, run_fork},
      {"sys.fork_exec", "ns", 1, run_fork_exec},
      {"sys.fork_exec_dynamic", "ns", 1, run_fork_exec_dynamic, nullptr, have_dynamic_program},
      {"sys.thread", "ns", 1, run_thread},
      {"sys.signal", "ns", 1, run_signal},
      {"sys.segv", "ns", 1, run_segv},
  };
  return all;
}

}  // namespace adyton::bench
