#include "cli/vm_process.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "vmm/control/launch.h"

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

Result<VmProcess> VmProcess::spawn(const std::string& program, const std::string& vm) {
  auto [ours, theirs] = TRY(vmm::control::Socket::pair());
  // Its standard error stays ours: what it could not say over the socket is for the user.
  std::vector<std::string> environment = {"ADYTON_LOG_VM=" + vm};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("ADYTON_LOG_VM=")) environment.emplace_back(*entry);
  }
  const pid_t pid = TRY(vmm::control::launch(program, theirs.fd(), -1, std::move(environment)));
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
  if (WIFSIGNALED(status)) return vmm::control::describe_signal(WTERMSIG(status));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

}  // namespace adyton::cli
