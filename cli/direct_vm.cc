#include "cli/direct_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "cli/message.h"
#include "observe/trace_source.h"

namespace adyton::cli {

using namespace vmm::control;

namespace {

VmEnds explain(const Ended& ended, bool payload) {
  const std::string detail = ended.message.empty() ? "" : ": " + one_line(ended.message);
  switch (ended.reason) {
    case EndReason::kShutdown:
      return {.message = "the guest powered off before the payload had ended" + detail, .failed = payload};
    case EndReason::kReset: return {.message = "the guest reset itself, the VM was ended" + detail};
    case EndReason::kStopped: return {.message = "the VM was stopped" + detail};
    case EndReason::kCrashed: return {.message = "the guest crashed" + detail};
    case EndReason::kWatchdog: return {.message = "the guest hangs: nobody has refreshed its watchdog in time" + detail};
    case EndReason::kInternalError: return {.message = "internal error in the VM" + detail};
    case EndReason::kForbiddenCall: return {.message = "the virtual machine monitor was stopped" + detail};
  }
  return {.message = "the VM ended" + detail};
}

const char* const kNonsense = "the guest's init does not speak our protocol";

}  // namespace

Result<void> DirectVm::send_request(decltype(Request::body) body, std::span<const int> fds) {
  const std::string text = TRY(encode(Request{.id = next_request_++, .body = std::move(body)}));
  return socket_.send(text, fds);
}

Result<void> DirectVm::start() {
  if (!config_.vsock_uds.empty()) {
    vsock_ = TRY(vmm::hybrid::HybridSocket::listen(
        config_.vsock_uds, [this](uint32_t port, UniqueFd client) { on_vsock_client(port, std::move(client)); }));
    config_.vm.ask_about_ports = true;
  }
  boot_.begin = config_.began;
  std::vector<int> fds;
  for (const UniqueFd& fd : config_.fds) fds.push_back(fd.get());
  if (config_.report_crash) TRY(send_request(Describe{}));
  configure_id_ = next_request_;
  vital_.insert(next_request_);
  auto sent = send_request(config_.vm, fds);
  config_.fds.clear();
  // A process that is gone has its last words on the socket.
  if (!sent && sent.error().code == ErrorCode::kUnavailable) return {};
  return sent;
}

void DirectVm::watch(std::vector<pollfd>& polls) const {
  if (!gone_) polls.push_back({.fd = socket_.fd(), .events = POLLIN, .revents = 0});
  if (guest_) guest_->watch(polls);
  if (vsock_) polls.push_back({.fd = vsock_->fd(), .events = POLLIN, .revents = 0});
}

std::vector<VmEvent> DirectVm::step(std::span<const pollfd> polls) {
  std::vector<VmEvent> events;
  for (const pollfd& p : polls) {
    if (!gone_ && p.fd == socket_.fd() && p.revents != 0) on_control(events);
  }
  if (guest_) on_guest(polls, events);
  for (const pollfd& p : polls) {
    if (vsock_ && p.fd == vsock_->fd() && p.revents != 0) vsock_->step();
  }
  return events;
}

Result<void> DirectVm::signal(int number) { return to_guest(guest::Signal{.number = static_cast<uint32_t>(number)}); }
Result<void> DirectVm::resize(const TerminalSize& size) {
  return to_guest(guest::WindowSize{.rows = size.rows, .columns = size.columns});
}

Result<void> DirectVm::to_guest(const guest::Message& message) {
  if (!guest_ || guest_->ended()) return {};
  return guest_->send(message);
}

// ---- the VM's process ----------------------------------------------------------------------------------------------------

void DirectVm::on_control(std::vector<VmEvent>& events) {
  auto packet = socket_.receive();
  if (!packet) {
    gone_ = true;
    if (inspect_id_) inspected(events);
    if (packet.error().code != ErrorCode::kUnavailable) events.emplace_back(VmBroken{packet.error().message});
    events.emplace_back(VmGone{});
    return;
  }
  if (packet->lost_fds) {
    events.emplace_back(VmBroken{"this program has no file descriptors left; raise its limit (ulimit -n)"});
    return;
  }
  auto event = decode_event(packet->text, packet->fds.size());
  if (!event) {
    events.emplace_back(VmBroken{event.error().message});
  } else {
    on_event(std::move(*event), std::move(packet->fds), events);
  }
}

void DirectVm::on_event(Event event, std::vector<UniqueFd> fds, std::vector<VmEvent>& events) {
  if (const auto* reply = std::get_if<Reply>(&event)) {
    on_reply(*reply, events);
  } else if (const auto* accepted = std::get_if<Accepted>(&event)) {
    if (!config_.request || phase_ == Phase::kConfiguring) return;
    if (accepted->port != guest::kControlPort) {
      events.emplace_back(PayloadStream{.port = accepted->port, .stream = std::move(fds.front())});
    } else if (!guest_ && phase_ == Phase::kBooting) {
      guest_.emplace(std::move(fds.front()));
    }
  } else if (const auto* asked = std::get_if<Asked>(&event)) {
    on_asked(*asked);
  } else if (const auto* statistics = std::get_if<Statistics>(&event)) {
    boot_.configuring = statistics->configuring;
    boot_.running = statistics->running;
    tell_boot(events);
  } else if (const auto* description = std::get_if<Description>(&event)) {
    backend_ = description->backend;
  } else if (auto* ended = std::get_if<Ended>(&event)) {
    ended_ = *ended;
    events.emplace_back(explain(*ended, config_.request.has_value()));
  }
}

// Once the VMM and the guest have both said when they began what.
void DirectVm::tell_boot(std::vector<VmEvent>& events) {
  if (!config_.timeline || boot_.running == 0 || boot_.payload == 0) return;
  BootTimeline boot;
  for (const observe::BootPhase& phase : observe::boot_phases(boot_))
    boot.phases.push_back({std::string(phase.name), phase.begin, phase.end});
  events.emplace_back(std::move(boot));
}

// The VMM answers the client; one that cannot be handed over is closed.
void DirectVm::on_vsock_client(uint32_t port, UniqueFd client) {
  if (phase_ == Phase::kConfiguring || gone_) return;
  const int fd = client.get();
  (void)send_request(Connect{.port = port, .type = VsockType::kStream, .socket = 0}, std::span(&fd, 1));
}

void DirectVm::on_asked(const Asked& asked) {
  if (!vsock_ || gone_) return;
  auto socket = vsock_->dial(asked.port, asked.type == VsockType::kSeqpacket);
  const int fd = socket ? socket->get() : -1;
  Answer answer{.question = asked.question, .socket = {}};
  if (socket) answer.socket = 0;
  (void)send_request(answer, socket ? std::span(&fd, 1) : std::span<const int>());
}

void DirectVm::on_reply(const Reply& reply, std::vector<VmEvent>& events) {
  if (reply.id == inspect_id_) return inspected(events);
  if (!vital_.contains(reply.id)) return;  // about one connection: whoever it was for sees its end
  if (reply.error) {
    events.emplace_back(VmBroken{reply.error->message});
    return;
  }
  if (phase_ == Phase::kConfiguring && reply.id == configure_id_) on_loaded(events);
}

void DirectVm::on_loaded(std::vector<VmEvent>& events) {
  if (config_.report_crash) (void)offer_crash_memory();  // the report will do without
  if (const UniqueFd debugger = std::move(config_.debugger); debugger.valid()) {
    const int fd = debugger.get();
    vital_.insert(next_request_);
    (void)send_request(AttachDebugger{.listener = 0, .hold = config_.wait_for_debugger}, std::span(&fd, 1));
  }
  if (config_.before_start) {
    if (auto done = config_.before_start(); !done) {
      events.emplace_back(VmBroken{done.error().message});
      return;
    }
  }
  vital_.insert(next_request_);
  if (auto sent = send_request(Start{}); !sent && sent.error().code != ErrorCode::kUnavailable) {
    events.emplace_back(VmBroken{sent.error().message});
    return;
  }
  phase_ = Phase::kBooting;
  if (config_.timeline || config_.before_start) (void)send_request(ReadStatistics{});
  events.emplace_back(VmBooting{});
}

// ---- before it starts ----------------------------------------------------------------------------------------------------

// The VMM answers one request after the other, and says nothing else before the VM runs.
template <typename T>
Result<std::pair<T, std::vector<UniqueFd>>> DirectVm::answer_to(uint32_t id) {
  for (;;) {
    auto packet = TRY(socket_.receive());
    if (packet.lost_fds)
      return fail(ErrorCode::kExhausted, "this program has no file descriptors left; raise its limit (ulimit -n)");
    Event event = TRY(decode_event(packet.text, packet.fds.size()));
    if (auto* answer = std::get_if<T>(&event); answer != nullptr && answer->id == id)
      return std::pair(std::move(*answer), std::move(packet.fds));
    const auto* reply = std::get_if<Reply>(&event);
    if (reply != nullptr && reply->error && (reply->id == id || vital_.contains(reply->id)))
      return std::unexpected(*reply->error);
  }
}

Result<Statistics> DirectVm::read_statistics() {
  const uint32_t id = next_request_;
  TRY(send_request(ReadStatistics{}));
  return std::move(TRY(answer_to<Statistics>(id)).first);
}

Result<UniqueFd> DirectVm::record(decltype(Request::body) body, int memory) {
  const uint32_t id = next_request_;
  TRY(send_request(std::move(body), std::span(&memory, 1)));
  auto answer = TRY(answer_to<Reply>(id));
  if (answer.first.error) return std::unexpected(*answer.first.error);
  if (answer.second.empty()) return fail(ErrorCode::kInternal, "the VM's process gave no socket");
  return std::move(answer.second.front());
}

// ---- the guest -----------------------------------------------------------------------------------------------------------

void DirectVm::on_guest(std::span<const pollfd> polls, std::vector<VmEvent>& events) {
  auto messages = guest_->step(polls);
  if (!messages) {
    events.emplace_back(VmBroken{kNonsense});
    return;
  }
  for (const guest::Message& message : *messages) on_message(message, events);
  if (guest_->ended() && !std::exchange(guest_left_, true)) events.emplace_back(GuestLeft{});
}

void DirectVm::on_message(const guest::Message& message, std::vector<VmEvent>& events) {
  if (const auto* hello = std::get_if<guest::Hello>(&message); hello != nullptr && phase_ == Phase::kBooting) {
    if (hello->version != guest::kProtocolVersion) {
      events.emplace_back(VmBroken{fmt::format("the guest's init speaks version {} of our protocol, this is version {}",
                                               hello->version, guest::kProtocolVersion)});
      return;
    }
    phase_ = Phase::kStarting;
    boot_.hello = observe::TraceSource::now();
    boot_.init_age = hello->connected_ns - std::min(hello->init_started_ns, hello->connected_ns);
    config_.request->wall_clock_ns = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
    if (auto sent = to_guest(*config_.request); !sent) {
      events.emplace_back(VmBroken{sent.error().message});
    } else {
      events.emplace_back(PayloadStarting{});
    }
  } else if (std::holds_alternative<guest::Started>(message) && phase_ == Phase::kStarting) {
    phase_ = Phase::kRunning;
    boot_.payload = observe::TraceSource::now();
    tell_boot(events);
    events.emplace_back(PayloadStarted{});
  } else if (const auto* exited = std::get_if<guest::Exited>(&message); exited != nullptr && phase_ == Phase::kRunning) {
    phase_ = Phase::kOver;
    payload_end_ = PayloadEnded{.exit_code = exited->exit_code() & 0xff, .message = {}};
    if (exited->signalled && observe::is_fault(exited->value) &&
        inspect(observe::CrashKind::kPayload, fmt::format("the payload was killed by signal {} ({})", exited->value,
                                                          ::strsignal(static_cast<int>(exited->value)))))
      return;
    events.emplace_back(*std::exchange(payload_end_, std::nullopt));
  } else if (const auto* failed = std::get_if<guest::ExecFailed>(&message); failed != nullptr && phase_ == Phase::kStarting) {
    phase_ = Phase::kOver;
    const bool known = failed->exit_code == guest::kExitNotExecutable || failed->exit_code == guest::kExitNotFound;
    events.emplace_back(PayloadEnded{.exit_code = known ? static_cast<int>(failed->exit_code) : guest::kExitError,
                                     .message = one_line(failed->message),
                                     .executed = false});
  } else {
    events.emplace_back(VmBroken{kNonsense});
  }
}

// ---- crash reports -------------------------------------------------------------------------------------------------------

Result<void> DirectVm::offer_crash_memory() {
  UniqueFd memory = TRY(observe::make_crash_memory());
  const int fd = memory.get();
  TRY(send_request(CrashReports{.memory = 0}, std::span(&fd, 1)));
  crash_memory_ = std::move(memory);
  return {};
}

// Has the VMM read the VM; inspected() follows. False: it cannot.
bool DirectVm::inspect(observe::CrashKind kind, std::string cause) {
  if (!crash_memory_.valid() || inspect_id_ || gone_) return false;
  const uint32_t id = next_request_;
  if (!send_request(Inspect{})) return false;
  inspect_id_ = id;
  crash_kind_ = kind;
  crash_cause_ = std::move(cause);
  return true;
}

void DirectVm::inspected(std::vector<VmEvent>& events) {
  inspect_id_.reset();
  const bool panic = crash_kind_ == observe::CrashKind::kKernelPanic;
  if (!panic || observe::shows_panic(observe::read_crash_memory(crash_memory_.get()))) {
    panic_reported_ = panic_reported_ || panic;
    report(crash_kind_, crash_cause_);
  }
  if (payload_end_) events.emplace_back(*std::exchange(payload_end_, std::nullopt));
}

void DirectVm::look_for_panic(const std::string& cause) {
  constexpr unsigned kMaxLooks = 3;  // a guest may say it as often as it likes
  if (panic_reported_ || panic_looks_ == kMaxLooks || ended_ || phase_ == Phase::kConfiguring) return;
  ++panic_looks_;
  (void)inspect(observe::CrashKind::kKernelPanic, cause);
}

void DirectVm::report_end(const std::optional<std::string>& panic) {
  if (!ended_ || ended_->reason == EndReason::kStopped || ended_->reason == EndReason::kForbiddenCall) return;
  if (panic && ended_->reason != EndReason::kInternalError) {
    if (!panic_reported_) report(observe::CrashKind::kKernelPanic, "the guest's kernel panicked: " + *panic);
  } else if (ended_->reason == EndReason::kWatchdog) {
    report(observe::CrashKind::kHang, explain(*ended_, config_.request.has_value()).message);
  } else if (ended_->reason == EndReason::kCrashed || ended_->reason == EndReason::kInternalError) {
    report(observe::CrashKind::kMachine, explain(*ended_, config_.request.has_value()).message);
  }
}

void DirectVm::report(observe::CrashKind kind, const std::string& cause) {
  if (!config_.report_crash) return;
  config_.report_crash(kind, backend_, cause,
                       crash_memory_.valid() ? observe::read_crash_memory(crash_memory_.get()) : std::string());
}

}  // namespace adyton::cli
