#include "cli/exec_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cli/message.h"

namespace adyton::cli {
ExecSession::ExecSession(ExecSessionConfig config)
    : config_(std::move(config)), guest_(std::move(config_.control)), raw_terminal_(config_.terminal) {}

Outcome ExecSession::run() {
  std::vector<pollfd> polls;
  while (!outcome_) {
    polls.clear();
    if (config_.signals >= 0) polls.push_back({.fd = config_.signals, .events = POLLIN, .revents = 0});
    guest_.watch(polls);
    for (auto& [output, channel] : channels_) channel.watch(polls);
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) {
      fail_with(fail_errno("cannot wait for the program").error().message);
      break;
    }
    for (auto& [output, channel] : channels_) channel.step(polls);
    on_guest(polls);
    if (config_.signals >= 0 && polls[0].revents != 0) on_signal();
    advance();
  }
  for (auto& [output, channel] : channels_) channel.close();
  raw_terminal_.restore();
  return *outcome_;
}

void ExecSession::on_guest(std::span<const pollfd> polls) {
  auto messages = guest_.step(polls);
  if (!messages) return fail_with("the guest's init does not speak our protocol");
  for (const guest::Message& message : *messages) on_message(message);
}

void ExecSession::on_message(const guest::Message& message) {
  if (outcome_) return;
  if (const auto* hello = std::get_if<guest::Hello>(&message); hello != nullptr && phase_ == Phase::kGreeting) {
    if (hello->version != guest::kProtocolVersion) {
      return fail_with(fmt::format("the guest's init speaks version {} of our protocol, this is version {}", hello->version,
                                   guest::kProtocolVersion));
    }
    stream_port_ = hello->stream_port;
    phase_ = Phase::kStarting;
    send(config_.request);
  } else if (std::holds_alternative<guest::Started>(message) && phase_ == Phase::kStarting) {
    phase_ = Phase::kRunning;
    connect_streams();
  } else if (const auto* exited = std::get_if<guest::Exited>(&message); exited != nullptr && phase_ == Phase::kRunning) {
    program_outcome_ = Outcome{.exit_code = exited->exit_code() & 0xff, .message = {}};
    phase_ = Phase::kDraining;
  } else if (const auto* failed = std::get_if<guest::ExecFailed>(&message); failed != nullptr && phase_ == Phase::kStarting) {
    const bool known = failed->exit_code == guest::kExitNotExecutable || failed->exit_code == guest::kExitNotFound;
    conclude(
        {.exit_code = known ? static_cast<int>(failed->exit_code) : guest::kExitError, .message = one_line(failed->message)});
  } else {
    fail_with("the guest's init does not speak our protocol");
  }
}

void ExecSession::connect_streams() {
  auto& [in, out, err] = config_.stdio;
  const size_t count = config_.request.terminal ? 1 : 3;
  std::array<UniqueFd, 3> streams;
  for (size_t i = 0; i < count; ++i) {
    auto stream = config_.connect(stream_port_);
    if (!stream) return fail_with(stream.error().message);
    streams[i] = std::move(*stream);
  }
  if (!config_.request.terminal) {
    add_channel(/*output=*/false, "standard input", std::move(in), std::move(streams[0]));
    add_channel(/*output=*/true, "standard output", std::move(streams[1]), std::move(out));
    add_channel(/*output=*/true, "standard error", std::move(streams[2]), std::move(err));
    return;
  }
  UniqueFd copy(::fcntl(streams[0].get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_with(fail_errno("cannot use the guest's terminal").error().message);
  add_channel(/*output=*/true, "the terminal", std::move(streams[0]), std::move(out));
  add_channel(/*output=*/false, "the terminal", std::move(in), std::move(copy));
  if (config_.terminal < 0) return;
  if (auto done = raw_terminal_.raw(); !done) return fail_with(done.error().message);
  if (auto size = terminal_size(config_.terminal)) send(guest::WindowSize{.rows = size->rows, .columns = size->columns});
}

void ExecSession::add_channel(bool output, std::string name, UniqueFd source, UniqueFd sink) {
  channels_.emplace_back(output, Channel(std::move(name), std::move(source), std::move(sink)));
}

void ExecSession::on_signal() {
  signalfd_siginfo signal{};
  if (::read(config_.signals, &signal, sizeof(signal)) != sizeof(signal)) return;
  const auto number = static_cast<int>(signal.ssi_signo);
  if (number == SIGWINCH || number == SIGCONT) {
    if (!raw_terminal_.is_raw()) return;
    if (number == SIGCONT) (void)raw_terminal_.raw();
    if (auto size = terminal_size(config_.terminal)) send(guest::WindowSize{.rows = size->rows, .columns = size->columns});
  } else if (phase_ == Phase::kRunning) {
    send(guest::Signal{.number = static_cast<uint32_t>(number)});
  } else if (number != SIGUSR1 && number != SIGUSR2) {
    conclude({.exit_code = 128 + number, .message = {}});
  }
}

void ExecSession::send(const guest::Message& message) {
  if (guest_.ended()) return;
  if (auto sent = guest_.send(message); !sent) fail_with(sent.error().message);
}

void ExecSession::advance() {
  if (outcome_) return;
  for (const auto& [output, channel] : channels_) {
    if (channel.error()) return fail_with(channel.error()->message);
  }
  const bool drained =
      std::all_of(channels_.begin(), channels_.end(), [](const auto& entry) { return !entry.first || entry.second.finished(); });
  if (phase_ == Phase::kDraining && drained) return conclude(*program_outcome_);
  // Whatever the guest had said is still on its way through our buffers.
  if (guest_.ended() && phase_ != Phase::kDraining && drained) {
    fail_with(phase_ == Phase::kGreeting ? "the virtual machine takes no further programs"
                                         : "the virtual machine ended before the program");
  }
}

}  // namespace adyton::cli
