#include "guest/init/session.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <string_view>

#include "guest/init/agent.h"

namespace adyton::guest {
namespace {

Result<void> wait_for(int fd, short events) {
  pollfd entry{fd, events, 0};
  while (::poll(&entry, 1, -1) < 0) {
    if (errno != EINTR) return fail_errno("waiting for the host");
  }
  return {};
}

uint64_t monotonic_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

Session::Session(UniqueFd control, SessionHooks hooks) : control_(std::move(control)), hooks_(std::move(hooks)) {}

Result<void> Session::run(const Hello& hello) {
  TRY(send(hello));
  ExecRequest request = TRY(receive_request());
  if (auto started = start(request); !started) return started;
  if (payload_.pid < 0) {  // ExecFailed has been sent
    wait_for_host();
    return {};
  }
  const auto served = serve();
  if (!served) {
    hooks_.kill_everything(payload_.pid);
    return served;
  }
  wait_for_host();
  return {};
}

Result<void> Session::send(const Message& message) {
  const std::vector<uint8_t> bytes = TRY(encode(message));
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t size = ::send(control_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size > 0) {
      sent += static_cast<size_t>(size);
    } else if (errno == EAGAIN) {
      TRY(wait_for(control_.get(), POLLOUT));
    } else if (errno != EINTR) {
      return fail_errno("writing to the control connection");
    }
  }
  return {};
}

Result<bool> Session::read_control() {
  uint8_t chunk[16384];
  for (;;) {
    const ssize_t size = ::recv(control_.get(), chunk, sizeof chunk, 0);
    if (size > 0) {
      reader_.append(std::span(chunk, static_cast<size_t>(size)));
      return true;
    }
    if (size == 0) return false;
    if (errno == EAGAIN) return true;
    if (errno != EINTR) return fail_errno("reading the control connection");
  }
}

Result<ExecRequest> Session::receive_request() {
  for (;;) {
    auto message = TRY(reader_.next());
    if (message) {
      if (auto* request = std::get_if<ExecRequest>(&*message)) return std::move(*request);
      return fail(ErrorCode::kCorrupt, "the host's first message is not a request to execute");
    }
    TRY(wait_for(control_.get(), POLLIN));
    if (!TRY(read_control())) return fail(ErrorCode::kUnavailable, "the host closed the control connection before it asked for anything");
  }
}

Result<void> Session::start(ExecRequest& request) {
  if (auto prepared = hooks_.prepare(request); !prepared) {
    return send(ExecFailed{0, static_cast<uint32_t>(kExitError), prepared.error().message});
  }
  auto payload = start_payload(request);
  if (!payload) return send(payload.error());
  payload_ = std::move(*payload);
  TRY(send(Started{static_cast<uint32_t>(payload_.pid)}));
  TRY(connect_streams());
  // Last: nobody waits for it.
  if (hooks_.start_agent) agent_ = hooks_.start_agent();
  return {};
}

Result<void> Session::connect_streams() {
  const auto shared = [](UniqueFd fd) { return std::make_shared<UniqueFd>(std::move(fd)); };
  PayloadStreams& streams = payload_.streams;
  if (streams.terminal.valid()) {
    terminal_ = shared(std::move(streams.terminal));
    const Stream terminal{terminal_, StreamKind::kTerminal};
    const Stream host{shared(TRY(hooks_.connect(kTerminalPort))), StreamKind::kSocket};
    inputs_.emplace_back(host, terminal);
    outputs_.emplace_back(terminal, host);
    return {};
  }
  const auto host = [&](uint32_t port) -> Result<Stream> { return Stream{shared(TRY(hooks_.connect(port))), StreamKind::kSocket}; };
  inputs_.emplace_back(TRY(host(kStdinPort)), Stream{shared(std::move(streams.stdin_writer)), StreamKind::kPipe});
  outputs_.emplace_back(Stream{shared(std::move(streams.stdout_reader)), StreamKind::kPipe}, TRY(host(kStdoutPort)));
  outputs_.emplace_back(Stream{shared(std::move(streams.stderr_reader)), StreamKind::kPipe}, TRY(host(kStderrPort)));
  return {};
}

bool Session::finished() const {
  for (const Relay& relay : outputs_) {
    if (!relay.done()) return false;
  }
  return exited_.has_value();
}

Result<void> Session::serve() {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  const UniqueFd child_events(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_events.valid()) return fail_errno("watching child processes");
  reap();  // one that ended before the signalfd was there
  std::vector<pollfd> entries;
  while (!finished()) {
    entries.assign({{control_.get(), POLLIN, 0}, {child_events.get(), POLLIN, 0}, {agent_.valid() ? agent_.get() : -1, POLLIN, 0}});
    for (const auto* relays : {&inputs_, &outputs_}) {
      for (const Relay& relay : *relays) relay.add_poll_entries(entries);
    }
    if (::poll(entries.data(), entries.size(), patience_ms()) < 0 && errno != EINTR) return fail_errno("waiting for the payload");
    if (entries[0].revents != 0 && !TRY(read_control())) {
      return fail(ErrorCode::kUnavailable, "the host closed the control connection while the payload was running");
    }
    for (;;) {
      auto message = TRY(reader_.next());
      if (!message) break;
      TRY(handle(*message));
    }
    if (entries[1].revents != 0) {
      signalfd_siginfo info{};
      while (::read(child_events.get(), &info, sizeof info) > 0) continue;
      reap();
    }
    if (entries[2].revents != 0) read_agent();
    if (deadline_ns_ && monotonic_ns() >= *deadline_ns_) {
      deadline_ns_.reset();
      if (!exited_) hooks_.kill_everything(payload_.pid);
    }
    for (auto* relays : {&inputs_, &outputs_}) {
      for (Relay& relay : *relays) relay.pump();
    }
  }
  return send(*exited_);
}

Result<void> Session::handle(const Message& message) {
  if (const auto* signal = std::get_if<Signal>(&message)) {
    forward_signal(static_cast<int>(signal->number));
  } else if (const auto* size = std::get_if<WindowSize>(&message)) {
    if (terminal_) set_window_size(terminal_->get(), size->rows, size->columns);
  } else if (std::holds_alternative<Kill>(message)) {
    hooks_.kill_everything(payload_.pid);
  } else if (const auto* clock = std::get_if<SetClock>(&message)) {
    if (hooks_.set_clock) hooks_.set_clock(clock->wall_clock_ns);
  } else if (const auto* end = std::get_if<End>(&message)) {
    end_payload(uint64_t{end->grace_ms} * 1'000'000);
  } else {
    return fail(ErrorCode::kCorrupt, "the host sent a message that only a guest sends, or a second request");
  }
  return {};
}

pid_t Session::payload_group() const {
  pid_t foreground = 0;
  if (terminal_ && ::ioctl(terminal_->get(), TIOCGPGRP, &foreground) == 0 && foreground > 0) return foreground;
  return payload_.pid;
}

void Session::forward_signal(int number) {
  if (!exited_) ::kill(-payload_group(), number);
}

void Session::read_agent() {
  char words[64];
  const ssize_t size = ::read(agent_.get(), words, sizeof words);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return agent_.reset();
  if (std::string_view(words, static_cast<size_t>(size)).find(kAgentShutdown) != std::string_view::npos) end_payload(hooks_.grace_ns);
}

// It is told once; the time that it has to end does not begin anew, but may be made shorter.
void Session::end_payload(uint64_t grace_ns) {
  if (exited_) return;
  const uint64_t deadline = monotonic_ns() + grace_ns;
  if (deadline_ns_) {
    *deadline_ns_ = std::min(*deadline_ns_, deadline);
    return;
  }
  deadline_ns_ = deadline;
  // A shell at a terminal takes no notice of SIGTERM, but it does of its terminal's loss. Who is stopped has to run to end.
  const pid_t group = payload_group();
  const auto tell = [&](int number) {
    ::kill(-payload_.pid, number);
    if (group != payload_.pid) ::kill(-group, number);
  };
  tell(SIGTERM);
  if (terminal_) tell(SIGHUP);
  tell(SIGCONT);
}

int Session::patience_ms() const {
  if (!deadline_ns_) return -1;
  const uint64_t now = monotonic_ns();
  return now >= *deadline_ns_ ? 0 : static_cast<int>(std::min<uint64_t>((*deadline_ns_ - now) / 1'000'000 + 1, INT_MAX));
}

void Session::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (pid != payload_.pid || exited_) continue;
    exited_ = WIFSIGNALED(status) ? Exited{true, static_cast<uint32_t>(WTERMSIG(status)), WCOREDUMP(status)}
                                  : Exited{false, static_cast<uint32_t>(WEXITSTATUS(status)), false};
    // The machine lives as long as the payload: what it left running ends now, and with it the last writers of its streams.
    hooks_.kill_everything(payload_.pid);
    for (Relay& relay : inputs_) {
      if (!relay.done()) relay.abandon();
    }
  }
}

void Session::wait_for_host() {
  for (;;) {
    if (!wait_for(control_.get(), POLLIN)) return;
    const auto open = read_control();
    if (!open || !*open) return;
    while (true) {
      const auto message = reader_.next();
      if (!message) return;
      if (!*message) break;
    }
  }
}

}  // namespace adyton::guest
