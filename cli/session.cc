#include "cli/session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace adyton::cli {
namespace {

// Pseudo ports of the channels that carry no vsock stream.
constexpr uint32_t kConsoleIn = 1;
constexpr uint32_t kConsoleOut = 2;

constexpr auto kPatience = std::chrono::seconds(5);
constexpr uint8_t kCtrlA = 0x01;
constexpr uint8_t kCtrlC = 0x03;

bool is_output(uint32_t port) { return port != guest::kStdinPort && port != kConsoleIn; }

}  // namespace

Session::Session(SessionConfig config, VmHandle& vm, ConsoleLog& log, Progress& progress)
    : config_(std::move(config)), vm_(vm), log_(log), progress_(progress), raw_terminal_(config_.terminal) {
  if (config_.payload) {
    if (config_.payload_terminal) {
      expected_ = {{guest::kTerminalPort, false}};
    } else {
      expected_ = {{guest::kStdinPort, false}, {guest::kStdoutPort, false}, {guest::kStderrPort, false}};
    }
  }
  if (config_.timeout) deadline_ = Clock::now() + *config_.timeout;
}

Outcome Session::run() {
  check(vm_.start());
  std::vector<pollfd> polls;
  while (!outcome_) {
    polls.clear();
    polls.push_back({.fd = config_.signals, .events = POLLIN, .revents = 0});
    vm_.watch(polls);
    if (config_.console.valid()) polls.push_back({.fd = config_.console.get(), .events = POLLIN, .revents = 0});
    for (auto& [port, channel] : channels_) channel.watch(polls);
    if (::poll(polls.data(), polls.size(), poll_timeout()) < 0 && errno != EINTR) {
      fail_with(fail_errno("cannot wait for the VM").error().message);
      break;
    }
    // First: a VM of the user's own that boots has its console connected to his streams before anything is read from it.
    for (VmEvent& event : vm_.step(polls)) on_event(std::move(event));
    on_console(polls);
    for (auto& [port, channel] : channels_) channel.step(polls);
    // Last, as poll() looked at them first: a signal that follows a message of the guest is seen after it.
    if (polls[0].revents != 0) read_signals();
    advance();
  }
  progress_.clear();
  for (auto& [port, channel] : channels_) channel.close();
  raw_terminal_.restore();
  return *outcome_;
}

int Session::poll_timeout() const {
  std::optional<Clock::time_point> next = deadline_;
  if (patience_ && (!next || *patience_ < *next)) next = patience_;
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

// ---- the VM ----------------------------------------------------------------------------------------------------------------

void Session::on_event(VmEvent event) {
  if (std::holds_alternative<VmBooting>(event)) {
    if (config_.payload) return progress_.step("Booting the guest");
    phase_ = Phase::kRunning;
    progress_.clear();
    start_raw_console();
  } else if (std::holds_alternative<PayloadStarting>(event)) {
    progress_.step("Starting the payload");
  } else if (std::holds_alternative<PayloadStarted>(event)) {
    phase_ = Phase::kRunning;
    progress_.clear();
    if (config_.payload_terminal) start_terminal();
  } else if (const auto* boot = std::get_if<BootTimeline>(&event)) {
    progress_.clear();
    // A terminal that is the guest's does not return at the end of a line.
    const std::string text = format_timeline(boot->phases, config_.payload_terminal ? "\r\n" : "\n");
    (void)!::write(config_.messages, text.data(), text.size());
  } else if (auto* stream = std::get_if<PayloadStream>(&event)) {
    on_stream(stream->port, std::move(stream->stream));
  } else if (auto* payload = std::get_if<PayloadEnded>(&event)) {
    if (!payload->executed) expected_.clear();
    payload_ended({.exit_code = payload->exit_code, .message = std::move(payload->message)});
  } else if (std::holds_alternative<GuestLeft>(event)) {
    guest_left_ = true;
  } else if (auto* ends = std::get_if<VmEnds>(&event)) {
    ended_ = std::move(*ends);
    patience_ = Clock::now() + kPatience;
  } else if (std::holds_alternative<VmGone>(event)) {
    vm_gone_ = true;
  } else if (auto* broken = std::get_if<VmBroken>(&event)) {
    fail_with(std::move(broken->message));
  }
}

void Session::on_stream(uint32_t port, UniqueFd stream) {
  const auto expected = expected_.find(port);
  if (expected == expected_.end() || expected->second) return;
  expected->second = true;
  auto& [in, out, err] = config_.stdio;
  if (port == guest::kStdinPort) {
    add_channel(port, "standard input", std::move(in), std::move(stream));
  } else if (port == guest::kStdoutPort) {
    add_channel(port, "standard output", std::move(stream), std::move(out));
  } else if (port == guest::kStderrPort) {
    add_channel(port, "standard error", std::move(stream), std::move(err));
  } else {
    UniqueFd copy(::fcntl(stream.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return fail_with(fail_errno("cannot use the guest's terminal").error().message);
    add_channel(port, "the terminal", std::move(stream), std::move(out));
    channels_.back().second.set_filter([this](std::span<uint8_t> bytes) {
      note_output(bytes);
      return bytes.size();
    });
    add_channel(guest::kStdinPort, "the terminal", std::move(in), std::move(copy));
    channels_.back().second.set_filter([this](std::span<uint8_t> bytes) {
      note_key(bytes);
      return bytes.size();
    });
  }
}

void Session::add_channel(uint32_t port, std::string name, UniqueFd source, UniqueFd sink) {
  channels_.emplace_back(port, Channel(std::move(name), std::move(source), std::move(sink)));
}

void Session::on_console(std::span<const pollfd> polls) {
  if (!config_.console.valid()) return;
  for (const pollfd& p : polls) {
    if (p.fd != config_.console.get() || p.revents == 0) continue;
    uint8_t buffer[16384];
    const ssize_t got = ::read(p.fd, buffer, sizeof(buffer));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) return config_.console.reset();
    if (auto done = log_.append({buffer, static_cast<size_t>(got)}); !done) fail_with(done.error().message);
  }
}

void Session::payload_ended(Outcome outcome) {
  progress_.clear();
  payload_outcome_ = std::move(outcome);
  phase_ = Phase::kDraining;
}

void Session::check(const Result<void>& sent) {
  if (!sent) fail_with(sent.error().message);
}

// ---- the user ------------------------------------------------------------------------------------------------------------

void Session::start_terminal() {
  if (config_.terminal < 0) return;
  if (auto done = raw_terminal_.raw(); !done) return fail_with(done.error().message);
  // It may have changed while the guest booted.
  if (const auto size = terminal_size(config_.terminal)) check(vm_.resize(*size));
}

void Session::start_raw_console() {
  UniqueFd copy(::fcntl(config_.console.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_with(fail_errno("cannot use the serial console").error().message);
  auto& [in, out, err] = config_.stdio;
  add_channel(kConsoleOut, "standard output", std::move(config_.console), std::move(out));
  channels_.back().second.set_filter([this](std::span<uint8_t> bytes) {
    if (auto done = log_.append(bytes); !done) fail_with(done.error().message);
    return bytes.size();
  });
  add_channel(kConsoleIn, "standard input", std::move(in), std::move(copy));
  if (config_.terminal < 0) return;
  if (auto done = raw_terminal_.raw(); !done) return fail_with(done.error().message);
  // Ctrl-A X ends the VM, Ctrl-A Ctrl-A is one Ctrl-A: as people know it from QEMU.
  channels_.back().second.set_filter([this](std::span<uint8_t> keys) {
    size_t kept = 0;
    for (const uint8_t key : keys) {
      if (std::exchange(after_escape_, false)) {
        if (key == 'x' || key == 'X') {
          conclude({.exit_code = 0, .message = {}});
        } else if (key == kCtrlA) {
          keys[kept++] = key;
        }
      } else if (key == kCtrlA) {
        after_escape_ = true;
      } else {
        keys[kept++] = key;
      }
    }
    return kept;
  });
}

void Session::read_signals() {
  signalfd_siginfo signal{};
  if (::read(config_.signals, &signal, sizeof(signal)) == sizeof(signal)) on_signal(signal);
}

void Session::on_signal(const signalfd_siginfo& signal) {
  const auto number = static_cast<int>(signal.ssi_signo);
  if (number == SIGWINCH || number == SIGCONT) {
    if (!raw_terminal_.is_raw()) return;
    if (number == SIGCONT) (void)raw_terminal_.raw();
    if (!config_.payload) return;
    if (const auto size = terminal_size(config_.terminal)) check(vm_.resize(*size));
    return;
  }
  const bool running = config_.payload && phase_ == Phase::kRunning;
  if (running) {
    check(vm_.signal(number));
    if (number == SIGINT) interrupt(number);
  } else if (number != SIGUSR1 && number != SIGUSR2) {
    conclude({.exit_code = 128 + number, .message = {}});
  }
}

void Session::interrupt(int signal) {
  if (++interrupts_ >= 2) conclude({.exit_code = 128 + signal, .message = "interrupted twice, the VM was ended"});
}

// With a terminal, Ctrl-C is a key that the guest's terminal turns into a signal. A payload that answers (a shell with its
// prompt) lives; one that shows nothing between two of them is taken to hang.
void Session::note_key(std::span<const uint8_t> keys) {
  for (const uint8_t key : keys) {
    if (key == kCtrlC) {
      interrupt(SIGINT);
    } else {
      interrupts_ = 0;
    }
  }
}

void Session::note_output(std::span<const uint8_t> bytes) {
  if (interrupts_ == 0) return;
  // The echo of Ctrl-C itself is no answer.
  for (const uint8_t byte : bytes) {
    if (byte != '^' && byte != 'C' && byte != '\r' && byte != '\n') interrupts_ = 0;
  }
}

// ---- the end -------------------------------------------------------------------------------------------------------------

bool Session::output_finished() const {
  return std::all_of(channels_.begin(), channels_.end(),
                     [](const auto& entry) { return !is_output(entry.first) || entry.second.finished(); });
}

void Session::advance() {
  if (outcome_) return;
  for (const auto& [port, channel] : channels_) {
    if (channel.error()) return fail_with(channel.error()->message);
  }
  const bool connected = std::all_of(expected_.begin(), expected_.end(), [](const auto& entry) { return entry.second; });
  if (phase_ == Phase::kDraining && connected && output_finished()) {
    vm_.release(config_.wait_for_power_off);
    if (!config_.wait_for_power_off) return conclude(*payload_outcome_);
    phase_ = Phase::kClosing;
    patience_ = Clock::now() + kPatience;
  }
  const auto now = Clock::now();
  const bool impatient = patience_ && now >= *patience_;
  if (phase_ == Phase::kClosing && (ended_ || vm_gone_ || impatient)) return conclude(*payload_outcome_);
  // Whatever the guest had said is still on its way through our buffers.
  if (vm_gone_ && output_finished() && !config_.console.valid()) return conclude(explain_end());
  if (guest_left_ && !payload_outcome_ && !patience_) patience_ = now + kPatience;
  if (impatient && !vm_gone_) return conclude(explain_end());
  if (deadline_ && now >= *deadline_) fail_with("the time given by --timeout is over, the VM was ended");
}

Outcome Session::explain_end() const {
  if (payload_outcome_) return *payload_outcome_;
  const auto error = [](std::string message) { return Outcome{.exit_code = guest::kExitError, .message = std::move(message)}; };
  if (auto reason = log_.panic()) return error(fmt::format("the guest's kernel panicked: {}", *reason));
  if (!ended_) {
    if (!vm_gone_) return error("the guest's init is gone");
    return Outcome{.exit_code = guest::kExitError, .message = "the VM's process ended unexpectedly", .vm_lost = true};
  }
  return ended_->failed ? error(ended_->message) : Outcome{};
}

}  // namespace adyton::cli
