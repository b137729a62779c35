#include "vmm/control/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "vmm/control/protocol.h"

namespace adyton::vmm::control {

Result<pid_t> launch(const std::string& program, int control, int errors, std::optional<std::vector<std::string>> environment) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (errors >= 0) posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, control, kControlFd);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, kControlFd + 1);

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
  std::vector<char*> entries;
  if (environment) {
    for (std::string& entry : *environment) entries.push_back(entry.data());
    entries.push_back(nullptr);
  }
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environment ? entries.data() : environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_errno("cannot start " + program, error);
  return pid;
}

std::string describe_signal(int number) {
  if (number == SIGSYS) return "killed: it made a system call that its sandbox forbids (SIGSYS)";
  return fmt::format("killed by signal {} ({})", number, ::strsignal(number));
}

}  // namespace adyton::vmm::control
