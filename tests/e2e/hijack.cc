#include "tests/e2e/hijack.h"

#include <dlfcn.h>
#include <elf.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

namespace fs = std::filesystem;

// Where the C library begins in a process; 0 when it has none that is ours.
uint64_t library_in(pid_t process, const std::string& path) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(path)) return std::strtoull(line.c_str(), nullptr, 16);
  }
  return 0;
}

Result<uint64_t> address_in(pid_t process, const char* function) {
  void* const here = ::dlsym(RTLD_DEFAULT, function);
  Dl_info library{};
  if (here == nullptr || ::dladdr(here, &library) == 0) return fail(ErrorCode::kNotFound, std::string("no function ") + function);
  const std::string path = fs::canonical(library.dli_fname);
  const uint64_t there = library_in(process, path);
  if (there == 0) return fail(ErrorCode::kNotFound, "the process has not loaded " + path);
  return reinterpret_cast<uint64_t>(here) - reinterpret_cast<uint64_t>(library.dli_fbase) + there;
}

Result<void> wait_for_stop(pid_t thread) {
  int status = 0;
  pid_t got = 0;
  do { got = ::waitpid(thread, &status, __WALL); } while (got < 0 && errno == EINTR);
  if (got != thread) return fail_errno("waitpid");
  if (status >> 16 != PTRACE_EVENT_STOP) return fail(ErrorCode::kInternal, "the thread did not stop");
  return {};
}

Result<void> enter(pid_t thread, uint64_t function, uint64_t argument) {
#if defined(__x86_64__)
  user_regs_struct registers{};
  iovec place{.iov_base = &registers, .iov_len = sizeof registers};
  if (::ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &place) != 0) return fail_errno("cannot read a thread's registers");
  constexpr uint64_t kRedZone = 128;
  registers.rsp = ((registers.rsp - kRedZone) & ~uint64_t{15}) - 8;  // as behind a call instruction
  registers.rip = function;
  registers.rdi = argument;
  registers.orig_rax = ~0ull;  // the call that it waited in does not begin again
  if (::ptrace(PTRACE_POKEDATA, thread, registers.rsp, 0) != 0) return fail_errno("cannot write to a thread's stack");
  if (::ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &place) != 0) return fail_errno("cannot write a thread's registers");
  return {};
#else
  static_cast<void>(thread), static_cast<void>(function), static_cast<void>(argument);
  return fail(ErrorCode::kUnsupported, "threads are only hijacked on x86-64");
#endif
}

Result<void> redirect(pid_t process, pid_t thread, const char* function, uint64_t argument) {
  const uint64_t address = TRY(address_in(process, function));
  return enter(thread, address, argument);
}

// The number behind a name in /proc/PID/status.
unsigned filters_of(const fs::path& task) {
  constexpr std::string_view kField = "\nSeccomp_filters:\t";
  const std::string status = contents(task / "status");
  const size_t at = status.find(kField);
  return at == std::string::npos ? ~0u : static_cast<unsigned>(std::atoi(status.c_str() + at + kField.size()));
}

}  // namespace

std::optional<pid_t> find_thread(pid_t process, const std::string& name, unsigned filters) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const std::string own = std::to_string(process);
  do {
    std::error_code error;
    for (fs::directory_iterator task(fs::path("/proc") / own / "task", error), end; !error && task != end;
         task.increment(error)) {
      const std::string tid = task->path().filename();
      const bool it_is = name == "main" || name == "control" ? tid == own : contents(task->path() / "comm") == name + "\n";
      if (it_is && filters_of(task->path()) >= filters) return std::stoi(tid);
    }
    ::sched_yield();
  } while (std::chrono::steady_clock::now() < give_up);
  return std::nullopt;
}

Result<void> hijack(pid_t process, pid_t thread, const char* function, uint64_t argument) {
  if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) {
    if (errno == EPERM) return fail(ErrorCode::kUnsupported, "this machine does not permit ptrace");
    return fail_errno("cannot trace the thread");
  }
  if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) return fail_errno("cannot stop the thread");
  TRY(wait_for_stop(thread));
  Result<void> done = redirect(process, thread, function, argument);
  // In any case: a traced thread that is killed would have to be waited for.
  if (::ptrace(PTRACE_DETACH, thread, nullptr, nullptr) != 0) return fail_errno("cannot let the thread run");
  return done;
}

}  // namespace adyton::e2e
