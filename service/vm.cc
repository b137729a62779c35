#include "service/vm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

#include "observe/trace_source.h"
#include "service/death.h"

namespace adyton::service {
namespace {

using namespace vmm::control;

Result<std::pair<UniqueFd, UniqueFd>> stream_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("cannot make a serial console");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

constexpr const char* kNoDescriptors =
    "the virtualization service has no file descriptors left; raise its limit (LimitNOFILE=, ulimit -n)";

bool is_payload_stream(uint32_t port) { return port >= guest::kStdinPort && port <= guest::kTerminalPort; }

}  // namespace

Vm::Vm(EventLoop& loop, std::string vmm_program, uint32_t cid, VmSpec spec, Holdings holdings)
    : Vm(loop, std::move(vmm_program), cid, std::move(spec), std::move(holdings), Times()) {}

Vm::Vm(EventLoop& loop, std::string vmm_program, uint32_t cid, VmSpec spec, Holdings holdings, Times times)
    : loop_(loop),
      vmm_program_(std::move(vmm_program)),
      cid_(cid),
      spec_(std::move(spec)),
      holdings_(std::move(holdings)),
      times_(times),
      diary_("vm", {{"vm", spec_.name.empty() ? fmt::format("vm-{}", cid_) : spec_.name}, {"cid", cid_}}),
      console_(loop),
      log_(loop) {
  if (spec_.name.empty()) spec_.name = fmt::format("vm-{}", cid_);
}

Vm::~Vm() = default;

VmInfo Vm::info() const {
  VmInfo info{.cid = cid_,
              .name = spec_.name,
              .state = state_,
              .isolation = spec_.isolation,
              .backend = backend_,
              .suspended = suspended_,
              .detached = spec_.detached,
              .persistent = spec_.persistent,
              .app = spec_.payload.has_value(),
              .cpus = spec_.machine.cpus,
              .memory = spec_.machine.memory,
              .pid = process_ ? process_->pid() : -1,
              .requester = spec_.requester,
              .payload_exit_code = exit_code_.value_or(-1),
              .death = death_,
              .vsock_path = vsock_socket_ ? vsock_socket_->path() : std::string(),
              .crash_report = crash_report_};
  if (process_) {
    const ProcessUsage usage = process_->usage();
    info.cpu_time = usage.cpu_time;
    info.resident = usage.resident;
    info.peak_resident = usage.peak_resident;
    info.uptime = uptime();
  } else if (exit_) {
    info.cpu_time = exit_->usage.cpu_time;
    info.peak_resident = exit_->usage.peak_resident;
    info.uptime = lifetime_;
  }
  return info;
}

// ---- what observers hear -------------------------------------------------------------------------------------------------

void Vm::tell(const std::function<void(VmObserver&)>& what) {
  const auto observers = observers_;  // one of them may add another
  for (const auto& observer : observers) what(*observer);
}

Outcome<> Vm::observe(std::shared_ptr<VmObserver> observer) {
  if (phase_ == Phase::kDead) {
    observer->died(cid_, death_);
  } else if (observers_.size() < kMaxObservers) {
    observers_.push_back(std::move(observer));
  } else {
    return fail(ErrorCode::kExhausted, fmt::format("the VM has {} callbacks already", kMaxObservers));
  }
  return {};
}

void Vm::leave(const std::function<bool(const VmObserver&)>& whose) {
  std::erase_if(observers_, [&](const auto& observer) { return whose(*observer); });
}

// States only go forward.
void Vm::advance(VmState state) {
  if (state <= state_) return;
  // What a guest skips is made up for, so that clients see every state of a payload.
  if (state == VmState::kReady && state_ < VmState::kStarted) advance(VmState::kStarted);
  if (state == VmState::kFinished && state_ < VmState::kStarted) advance(VmState::kStarted);
  state_ = state;
  if (state == VmState::kFinished) {
    diary_.info(lifecycle_limit_, {{"exit_code", exit_code_.value_or(0)}}, "payload finished");
  } else if (state > VmState::kStarting && state < VmState::kDead) {
    diary_.debug(lifecycle_limit_, {}, "payload {}", to_string(state));
  }
  if (state == VmState::kStarted) {
    hang_timer_.reset();
    tell([&](VmObserver& observer) { observer.payload_started(cid_); });
  }
  if (state == VmState::kReady) tell([&](VmObserver& observer) { observer.payload_ready(cid_); });
  if (state == VmState::kFinished) tell([&](VmObserver& observer) { observer.payload_finished(cid_, exit_code_.value_or(0)); });
}

std::chrono::milliseconds Vm::uptime() const {
  if (started_at_ == EventLoop::Clock::time_point()) return {};
  return std::chrono::duration_cast<std::chrono::milliseconds>(EventLoop::Clock::now() - started_at_);
}

std::unexpected<Failure> Vm::wrong_state(const char* what) const {
  return problem(Problem::kWrongState, fmt::format("cannot {}: the VM '{}' is {}", what, spec_.name, to_string(state_)));
}

// ---- start ---------------------------------------------------------------------------------------------------------------

void Vm::prepare(Done<> done) {
  if (phase_ != Phase::kNew) return done(wrong_state("prepare"));
  prepare_done_ = std::move(done);
  load();
}

void Vm::start(Done<> done) {
  if (phase_ != Phase::kNew && phase_ != Phase::kPrepared) return done(wrong_state("start"));
  start_done_ = std::move(done);
  if (phase_ == Phase::kNew) return load();
  arm_start_timer();
  let_start();
}

void Vm::load() {
  phase_ = Phase::kConfiguring;
  advance(VmState::kStarting);
  started_at_ = EventLoop::Clock::now();
  boot_.begin = observe::TraceSource::now();
  holdings_.lease.forget_last_run();
  diary_.info(lifecycle_limit_,
              {{"client", spec_.requester.pid},
               {"cpus", spec_.machine.cpus},
               {"memory", spec_.machine.memory},
               {"isolation", to_string(spec_.isolation)}},
              "starts");
  if (auto launched = launch(); !launched) {
    // A process that has ended already is explained by how it did; that it has comes to the loop.
    if (control_watch_.active() && launched.error().error.code == ErrorCode::kUnavailable) return;
    intended_ = Death{DeathReason::kStartFailed, launched.error().error.message};
    if (process_) return kill_process();
    die();
  }
}

Outcome<> Vm::launch() {
  choose_ports();
  TRY(add_console());
  TRY(open_vsock_socket());
  std::weak_ptr<Vm> weak = weak_from_this();
  process_ = TRY(VmmProcess::spawn(loop_, vmm_program_, diary_, [weak](const ProcessExit& exit) {
    if (auto self = weak.lock()) self->on_exit(exit);
  }));
  control_watch_ = Watch(loop_, TRY(loop_.watch(process_->control().fd(), EPOLLIN, [weak](uint32_t events) {
                           if (auto self = weak.lock()) self->on_control(events);
                         })));
  arm_start_timer();
  std::vector<int> fds;
  for (const UniqueFd& fd : spec_.fds) fds.push_back(fd.get());
  spec_.machine.instance_id.assign(spec_.instance_id.begin(), spec_.instance_id.end());
  TRY(send(Describe{}));
  configure_id_ = TRY(send(spec_.machine, fds));
  spec_.fds.clear();
  return {};
}

void Vm::arm_start_timer() {
  start_timer_ = Timer(loop_, times_.start, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->end_because({DeathReason::kStartFailed, "the VM's process did not start the VM in time"});
  });
}

Result<void> Vm::add_console() {
  auto [ours, theirs] = TRY(stream_pair());
  TRY(console_.add_source(std::move(ours), /*input=*/true));
  console_.on_bytes([this](std::span<const uint8_t> bytes) {
    if (panic_watch_.heard(bytes)) on_panic_heard();
    if (!spec_.payload) return;
    for (const std::string& line : init_words_.take(bytes)) {
      log_.add(observe::printable(line) + "\n");
      diary_.warning(init_limit_, {}, "{}", one_line(line));
    }
  });
  spec_.machine.console_output = spec_.fds.size();
  spec_.machine.console_input = spec_.fds.size();
  spec_.fds.push_back(std::move(theirs));
  return {};
}

void Vm::choose_ports() {
  for (const auto& [port, handler] : listeners_) ports_.insert(port);
  ports_.insert(kGuestServicePort);
  if (spec_.payload) {
    ports_.insert(guest::kControlPort);
    std::vector<uint32_t> streams = {guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort};
    if (spec_.payload->terminal) streams = {guest::kTerminalPort};
    for (const uint32_t port : streams) {
      ports_.insert(port);
      if (!listeners_.contains(port) && port != guest::kStdinPort) log_ports_.insert(port);
    }
    log_.on_source_end([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->consider_finish();
    });
  }
  for (const uint32_t port : ports_)
    (seqpacket_ports_.contains(port) ? spec_.machine.listen_seqpacket_ports : spec_.machine.listen_ports).push_back(port);
}

void Vm::running() {
  phase_ = Phase::kRunning;
  ran_ = true;
  diary_.info(lifecycle_limit_, {{"vmm", process_->pid()}, {"backend", one_line(backend_)}}, "runs");
  start_timer_.reset();
  if (awaits_payload()) arm_hang_timer(spec_.boot_timeout);
  learn_boot_times([] {});
  if (const auto done = std::exchange(start_done_, nullptr)) done({});
  if (!spec_.payload) advance(VmState::kStarted);
}

bool Vm::awaits_payload() const {
  return spec_.payload && spec_.boot_timeout.count() > 0 && state_ < VmState::kStarted && !payload_ended_;
}

void Vm::arm_hang_timer(std::chrono::milliseconds left) {
  hang_deadline_ = EventLoop::Clock::now() + left;
  hang_timer_ = Timer(loop_, left, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    const std::string why = fmt::format("the payload did not start within {} ms", self->spec_.boot_timeout.count());
    self->inspect(observe::CrashKind::kHang, why);
    self->end_because({DeathReason::kHangup, why});
  });
}

// ---- the VMM -------------------------------------------------------------------------------------------------------------

Result<uint32_t> Vm::send(decltype(Request::body) body, std::span<const int> fds) {
  const uint32_t id = next_request_++;
  const std::string text = TRY(encode(Request{.id = id, .body = std::move(body)}));
  TRY(process_->control().send(text, fds));
  return id;
}

void Vm::on_control(uint32_t) { receive_one(); }

// False when there is nothing to be received now, or ever.
bool Vm::receive_one() {
  auto packet = process_->control().receive();
  if (!packet) {
    if (packet.error().code == ErrorCode::kExhausted)
      return false;  // nothing there, or no descriptors left: it stays in the queue
    control_watch_.reset();
    if (packet.error().code == ErrorCode::kCorrupt) {
      end_because({DeathReason::kInfrastructureError, "the VM's process sent what is no control message"});
    } else if (phase_ != Phase::kEnding) {
      // It is about to exit, and how says more than a kill of ours would.
      phase_ = Phase::kEnding;
      end_timer_ = Timer(loop_, times_.exit, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->kill_process();
      });
    }
    return false;
  }
  // A stream that found no room here is lost; the message that it came with is not.
  if (packet->lost_fds) packet->fds.resize(1);
  auto event = decode_event(packet->text, packet->fds.size());
  if (!event) {
    control_watch_.reset();
    end_because({DeathReason::kInfrastructureError, "the VM's process sent what is no control message"});
    return false;
  }
  on_event(std::move(*event), std::move(packet->fds));
  return true;
}

void Vm::on_event(Event event, std::vector<UniqueFd> fds) {
  if (const auto* reply = std::get_if<Reply>(&event)) {
    on_reply(*reply, std::move(fds));
  } else if (const auto* accepted = std::get_if<Accepted>(&event)) {
    on_accepted(accepted->port, std::move(fds.front()));
  } else if (const auto* description = std::get_if<Description>(&event)) {
    on_description(*description);
  } else if (const auto* asked = std::get_if<Asked>(&event)) {
    on_asked(*asked);
  } else if (auto* counts = std::get_if<Statistics>(&event)) {
    if (auto node = statistics_.extract(counts->id))
      node.mapped().done(VmStatistics{.threads = threads_of(process_->pid()), .counts = std::move(*counts)});
  } else if (auto* ended = std::get_if<Ended>(&event)) {
    on_ended(std::move(*ended));
  }
}

void Vm::on_description(const Description& description) {
  if (phase_ != Phase::kConfiguring) return;
  backend_ = description.backend;
  if (!description.problem.empty()) return end_because({DeathReason::kStartFailed, one_line(description.problem)});
  if (description.isolation != to_string(spec_.isolation)) {
    end_because({DeathReason::kStartFailed, fmt::format("the VM would have the isolation level '{}', not '{}'",
                                                        one_line(description.isolation), to_string(spec_.isolation))});
  }
}

void Vm::on_loaded() {
  phase_ = Phase::kPrepared;
  offer_crash_memory();
  if (debugger_.valid()) {
    const auto sent = send_debugger();
    if (!sent) return end_because({DeathReason::kStartFailed, sent.error().message});
  }
  // Before its first instruction.
  auto waiters = std::exchange(load_waiters_, {});
  for (auto& [id, pending] : waiters) pending.done({});
  if (!prepare_done_) return let_start();
  start_timer_.reset();
  std::exchange(prepare_done_, nullptr)({});
}

void Vm::let_start() {
  phase_ = Phase::kStarting;
  const auto sent = send(Start{});
  if (!sent) return end_because({DeathReason::kStartFailed, sent.error().message});
  start_id_ = *sent;
}

void Vm::on_reply(const Reply& reply, std::vector<UniqueFd> fds) {
  if (reply.id == configure_id_ && phase_ == Phase::kConfiguring) {
    if (reply.error) return end_because({DeathReason::kStartFailed, one_line(reply.error->message)});
    on_loaded();
  } else if (reply.id == start_id_ && phase_ == Phase::kStarting) {
    if (reply.error) return end_because({DeathReason::kStartFailed, one_line(reply.error->message)});
    running();
  } else if (auto node = connects_.extract(reply.id)) {
    const auto& done = node.mapped().done;
    if (reply.error) return done(std::unexpected(Failure({reply.error->code, one_line(reply.error->message)})));
    if (fds.empty()) return done(fail(ErrorCode::kInternal, "the VM's process sent no stream"));
    if (!fds.front().valid()) return done(fail(ErrorCode::kExhausted, kNoDescriptors));
    done(std::move(fds.front()));
  } else if (auto ordered = orders_.extract(reply.id)) {
    const auto& done = ordered.mapped().done;
    if (reply.error) return done(std::unexpected(Failure({reply.error->code, one_line(reply.error->message)})));
    done({});
  } else if (auto failed = statistics_.extract(reply.id)) {
    failed.mapped().done(fail(ErrorCode::kUnavailable, reply.error ? one_line(reply.error->message) : "the VM did not answer"));
  } else if (reply.id == inspect_id_) {
    inspected();
  } else if (auto waiter = debugger_waiters_.extract(reply.id)) {
    if (reply.error) return waiter.mapped()(std::unexpected(Failure({reply.error->code, one_line(reply.error->message)})));
    waiter.mapped()({});
  }
}

void Vm::on_accepted(uint32_t port, UniqueFd stream) {
  if (phase_ != Phase::kStarting && phase_ != Phase::kRunning) return;
  if (!stream.valid()) {
    diary_.warning(lost_stream_limit_, {{"port", port}}, "a connection of the guest is lost: {}", kNoDescriptors);
    // The guest finds its connection closed. Without those that the service needs its payload cannot be run.
    if ((spec_.payload && port == guest::kControlPort) || log_ports_.contains(port))
      end_because({DeathReason::kInfrastructureError, kNoDescriptors});
    return;
  }
  if (const auto listener = listeners_.find(port); listener != listeners_.end()) {
    const StreamHandler handler = listener->second;
    if (handler) handler(std::move(stream));
    return;
  }
  if (port == kGuestServicePort) {
    if (guest_service_) guest_service_(std::move(stream));
  } else if (spec_.payload && port == guest::kControlPort) {
    if (payload_ || hello_seen_ || payload_ended_) return;
    std::weak_ptr<Vm> weak = weak_from_this();
    auto connection = PayloadConnection::make(loop_, std::move(stream),
                                              {.message =
                                                   [weak](const guest::Message& message) {
                                                     if (auto self = weak.lock()) self->on_message(message);
                                                   },
                                               .ended =
                                                   [weak](Result<void> how) {
                                                     if (auto self = weak.lock()) self->on_payload_end(std::move(how));
                                                   }});
    if (!connection) return end_because({DeathReason::kInfrastructureError, connection.error().message});
    payload_ = std::move(*connection);
  } else if (log_ports_.erase(port) != 0) {
    if (auto added = log_.add_source(std::move(stream), /*input=*/false); !added)
      end_because({DeathReason::kInfrastructureError, added.error().message});
  }
  // Standard input that nobody gives is at its end: the stream closes here.
}

void Vm::on_ended(Ended ended) {
  if (ended_) return;
  ended_ = std::move(ended);
  if (phase_ == Phase::kDead) return;
  phase_ = Phase::kEnding;
  end_timer_ = Timer(loop_, times_.stop, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->kill_process();
  });
}

template <typename T>
void Vm::ask(decltype(Request::body) body, std::span<const int> fds, Requests<T> Vm::*requests, Done<T> done) {
  if ((this->*requests).size() >= kMaxRequests)
    return done(fail(ErrorCode::kExhausted, fmt::format("{} requests to the VM are waiting already", kMaxRequests)));
  const auto sent = send(std::move(body), fds);
  if (!sent) return done(std::unexpected(Failure(sent.error())));
  const uint32_t id = *sent;
  Timer timer(loop_, times_.connect, [weak = weak_from_this(), requests, id] {
    const auto self = weak.lock();
    if (!self) return;
    if (auto node = ((*self).*requests).extract(id))
      node.mapped().done(fail(ErrorCode::kUnavailable, "the VM's process did not answer in time"));
  });
  (this->*requests).emplace(id, Pending<T>{.done = std::move(done), .timer = std::move(timer)});
}

template void Vm::ask(decltype(Request::body), std::span<const int>, Requests<UniqueFd> Vm::*, Done<UniqueFd>);
template void Vm::ask(decltype(Request::body), std::span<const int>, Requests<VmStatistics> Vm::*, Done<VmStatistics>);

// ---- vsock ---------------------------------------------------------------------------------------------------------------

void Vm::connect(uint32_t port, Done<UniqueFd> done, VsockType type) {
  if (phase_ != Phase::kRunning) return done(wrong_state("connect"));
  if (port < kMinVsockPort)
    return done(fail(ErrorCode::kInvalidArgument, fmt::format("vsock ports begin at {}, {} is below", kMinVsockPort, port)));
  ask(Connect{.port = port, .type = type, .socket = {}}, {}, &Vm::connects_, std::move(done));
}

// ---- listeners -----------------------------------------------------------------------------------------------------------

Outcome<> Vm::check_listener(uint32_t port, VsockType type) const {
  if (port < kMinVsockPort)
    return fail(ErrorCode::kInvalidArgument, fmt::format("vsock ports begin at {}, {} is below", kMinVsockPort, port));
  if (port == kGuestServicePort || (spec_.payload && port == guest::kControlPort))
    return fail(ErrorCode::kInvalidArgument, fmt::format("vsock port {} belongs to the service", port));
  if (phase_ == Phase::kDead || phase_ == Phase::kEnding)
    return wrong_state(fmt::format("listen on vsock port {}", port).c_str());
  const auto found = listeners_.find(port);
  if (found != listeners_.end() && found->second)
    return problem(Problem::kInUse, fmt::format("vsock port {} has a listener", port));
  if (found != listeners_.end()) {
    if (phase_ == Phase::kNew || (type == VsockType::kSeqpacket) == seqpacket_ports_.contains(port)) return {};
    return problem(Problem::kInUse, fmt::format("vsock port {} is of the other type since the VM has started", port));
  }
  if (listeners_.size() >= kMaxListeners)
    return fail(ErrorCode::kExhausted, fmt::format("there are {} vsock listeners, which is the limit", kMaxListeners));
  if (phase_ != Phase::kNew && ports_.contains(port))
    return problem(Problem::kInUse, fmt::format("vsock port {} is the service's since the VM has started", port));
  return {};
}

void Vm::listen(uint32_t port, StreamHandler handler, Done<> done, VsockType type) {
  if (auto checked = check_listener(port, type); !checked) return done(std::unexpected(checked.error()));
  if (type == VsockType::kSeqpacket) seqpacket_ports_.insert(port);
  listeners_[port] = std::move(handler);
  if (phase_ == Phase::kNew || ports_.contains(port)) return done({});
  ports_.insert(port);
  ask<void>(Listen{.port = port, .type = type}, {}, &Vm::orders_,
            [weak = weak_from_this(), port, done = std::move(done)](const Outcome<>& answer) {
              if (answer) return done({});
              if (const auto self = weak.lock()) {
                self->listeners_.erase(port);
                self->ports_.erase(port);
                self->seqpacket_ports_.erase(port);
              }
              done(std::unexpected(answer.error()));
            });
}

void Vm::unlisten(uint32_t port) {
  const auto found = listeners_.find(port);
  if (found == listeners_.end()) return;
  if (phase_ == Phase::kNew) {
    listeners_.erase(found);
    seqpacket_ports_.erase(port);
  } else {
    found->second = nullptr;
  }
  consider_finish();
}

// ---- suspension ----------------------------------------------------------------------------------------------------------

void Vm::set_balloon(uint64_t bytes, Done<> done) {
  if (phase_ != Phase::kRunning) return done(wrong_state("set the memory balloon"));
  if (bytes > spec_.machine.memory) {
    return done(fail(ErrorCode::kInvalidArgument,
                     fmt::format("the memory balloon of the VM '{}' cannot have {} bytes: the guest's memory has {}", spec_.name,
                                 bytes, spec_.machine.memory)));
  }
  ask<void>(SetBalloon{.bytes = bytes}, {}, &Vm::orders_, std::move(done));
}

void Vm::suspend(Done<> done) {
  if (phase_ != Phase::kRunning || payload_ended_ || stopping_) return done(wrong_state("suspend"));
  ask<void>(Suspend{}, {}, &Vm::orders_, [weak = weak_from_this(), done = std::move(done)](const Outcome<>& answer) {
    if (!answer) return done(std::unexpected(answer.error()));
    if (const auto self = weak.lock()) self->has_suspended();
    done({});
  });
}

void Vm::resume(Done<> done) {
  if (phase_ != Phase::kRunning) return done(wrong_state("resume"));
  ask<void>(Resume{}, {}, &Vm::orders_, [weak = weak_from_this(), done = std::move(done)](const Outcome<>& answer) {
    if (!answer) return done(std::unexpected(answer.error()));
    if (const auto self = weak.lock()) self->has_resumed();
    done({});
  });
}

void Vm::has_suspended() {
  if (phase_ != Phase::kRunning || std::exchange(suspended_, true)) return;
  if (stopping_) return let_run();  // was asked for meanwhile
  if (!awaits_payload()) return;
  hang_timer_.reset();
  hang_left_ = std::chrono::ceil<std::chrono::milliseconds>(hang_deadline_ - EventLoop::Clock::now());
}

void Vm::has_resumed() {
  if (phase_ != Phase::kRunning || !std::exchange(suspended_, false)) return;
  if (awaits_payload()) arm_hang_timer(std::max(hang_left_, std::chrono::milliseconds(1)));
  correct_clock();
}

// Resumes it for an end of its own, without waiting for the answer.
void Vm::let_run() {
  if (suspended_ && send(Resume{})) has_resumed();
}

void Vm::correct_clock() {
  if (payload_ && hello_seen_ && spec_.set_clock) (void)payload_->send(guest::SetClock{.wall_clock_ns = wall_clock_ns()});
}

bool Vm::client_owns_streams() const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [](const auto& entry) { return is_payload_stream(entry.first) && entry.second != nullptr; });
}

}  // namespace adyton::service
