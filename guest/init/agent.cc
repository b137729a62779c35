#include "guest/init/agent.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace adyton::guest {

UniqueFd open_agent() { return UniqueFd(::open(kAgentPath, O_PATH | O_CLOEXEC)); }

UniqueFd start_agent(const UniqueFd& program) {
  int ends[2];
  if (!program.valid() || ::pipe2(ends, O_CLOEXEC) != 0) return {};
  UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  const pid_t pid = ::fork();
  if (pid < 0) return {};
  if (pid > 0) return reader;
  ::setsid();  // it is nobody's terminal's business
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Both lose close-on-exec by being copied; the program may have been at the pipe's place.
  const int copy = ::fcntl(program.get(), F_DUPFD_CLOEXEC, kAgentPipe + 1);
  if (writer.get() == kAgentPipe) {
    ::fcntl(kAgentPipe, F_SETFD, 0);
  } else {
    ::dup2(writer.get(), kAgentPipe);
  }
  char name[] = "adyton-agent";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  ::syscall(SYS_execveat, copy, "", arguments, environment, AT_EMPTY_PATH);
  ::_exit(127);
}

}  // namespace adyton::guest
