#include "guest/init/exec_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "guest/exec_protocol.h"
#include "guest/init/log.h"
#include "guest/init/session.h"

namespace adyton::guest {
namespace {

// How long the host may take to connect a stream that it was told to.
constexpr int kStreamPatienceMs = 10'000;
// How long to leave connections alone when the machine has no descriptors or memory left.
constexpr int kPauseMs = 100;

// The next welcome connection; waits for at most `patience_ms` (-1: for ever) at a time.
Result<UniqueFd> accept_next(const Listener& listener, int patience_ms) {
  for (;;) {
    UniqueFd connection(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      if (!listener.is_welcome || listener.is_welcome(connection.get())) return connection;
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN) return fail_errno("taking a connection of the host");
    pollfd entry{listener.socket.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, patience_ms);
    if (ready == 0) return fail(ErrorCode::kUnavailable, "the host did not connect a stream");
    if (ready < 0 && errno != EINTR) return fail_errno("waiting for a connection of the host");
  }
}

uint64_t monotonic_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

std::vector<std::string> with_defaults(std::vector<std::string> environment, const std::vector<std::string>& defaults) {
  for (const std::string& entry : defaults) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('=') + 1);
    if (std::ranges::none_of(environment, [&](const std::string& own) { return own.starts_with(name); })) environment.push_back(entry);
  }
  return environment;
}

void ExecServer::run() {
  ::prctl(PR_SET_NAME, "exec-server");
  ::signal(SIGCHLD, SIG_IGN);
  bool complained = false;
  for (;;) {
    auto control = accept_next(listener_, -1);
    if (!control) {
      if (!std::exchange(complained, true)) log_line(LogLevel::kError, control.error().message);
      // Descriptors and memory that the payload has used up may be free again soon.
      if (control.error().code != ErrorCode::kExhausted) return;
      ::poll(nullptr, 0, kPauseMs);
      continue;
    }
    complained = false;
    const pid_t pid = ::fork();
    if (pid < 0) log_line(LogLevel::kError, "no process for a further program");
    if (pid != 0) continue;
    ::signal(SIGCHLD, SIG_DFL);  // a session waits for its program
    listener_.socket.reset();
    if (const auto served = serve(std::move(*control)); !served) log_line(LogLevel::kInfo, served.error().message);
    ::_exit(0);
  }
}

Result<void> ExecServer::serve(UniqueFd control) {
  const Listener streams = TRY(open_listener_());
  Hello hello;
  hello.connected_ns = monotonic_ns();
  hello.stream_port = streams.port;
  SessionHooks hooks;
  hooks.connect = [&](uint32_t) { return accept_next(streams, kStreamPatienceMs); };
  hooks.prepare = [this](ExecRequest& request) -> Result<void> {
    request.env = with_defaults(std::move(request.env), environment_);
    return {};
  };
  hooks.kill_everything = [](pid_t program) { ::kill(-program, SIGKILL); };
  return Session(std::move(control), std::move(hooks)).run(hello);
}

}  // namespace adyton::guest
