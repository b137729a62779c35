#include "cli/vm_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "vmm/control/protocol.h"

namespace adyton::cli {

Result<std::string> find_vmm() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::kNotFound, "cannot find out where adyton stands: " + error.message());
  const auto folder = self.parent_path();
  const std::filesystem::path candidates[] = {folder / "adyton-vmm", folder.parent_path() / "libexec" / "adyton" / "adyton-vmm"};
  for (const auto& candidate : candidates) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return fail(ErrorCode::kNotFound, fmt::format("the program adyton-vmm is missing (looked for {} and {})",
                                                candidates[0].string(), candidates[1].string()));
}

Result<VmProcess> VmProcess::spawn(const std::string& program) {
  auto [ours, theirs] = TRY(vmm::control::Socket::pair());

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  // stderr stays: what it could not say over the socket is for the user.
  posix_spawn_file_actions_adddup2(&actions, theirs.fd(), vmm::control::kControlFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, vmm::control::kControlFd + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  char name[] = "adyton-vmm";
  char* const argv[] = {name, nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno("cannot start " + program, error);
  return VmProcess(pid, std::move(ours));
}

VmProcess::VmProcess(VmProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)), control_(std::move(other.control_)) {}

VmProcess::~VmProcess() {
  if (pid_ > 0) (void)finish();
}

std::string VmProcess::finish() {
  if (pid_ <= 0) return "finished before";
  int status = 0;
  pid_t done = ::waitpid(pid_, &status, WNOHANG);
  if (done == 0) {
    ::kill(pid_, SIGKILL);
    do { done = ::waitpid(pid_, &status, 0); } while (done < 0 && errno == EINTR);
  }
  pid_ = -1;
  if (done < 0) return "unknown";
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return "it made a system call that its sandbox forbids";
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

}  // namespace adyton::cli
