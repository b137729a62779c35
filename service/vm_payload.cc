// The half of Vm that is about the guest: its payload, its agent, and how a VM ends.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstring>
#include <span>
#include <utility>

#include "observe/crash_report.h"
#include "observe/trace_source.h"
#include "service/death.h"
#include "service/vm.h"

namespace adyton::service {
namespace {

using namespace std::chrono_literals;

constexpr size_t kConsoleSearched = 64 * 1024;  // for a kernel's last words

}  // namespace

// ---- the payload ---------------------------------------------------------------------------------------------------------

void Vm::on_message(const guest::Message& message) {
  const auto keep = shared_from_this();
  if (const auto* hello = std::get_if<guest::Hello>(&message); hello != nullptr && !hello_seen_) {
    hello_seen_ = true;
    boot_.hello = observe::TraceSource::now();
    boot_.init_age = hello->connected_ns - std::min(hello->init_started_ns, hello->connected_ns);
    if (hello->version != guest::kProtocolVersion) {
      return end_because({DeathReason::kUnknownRuntimeError,
                          fmt::format("the guest's init speaks version {} of the protocol, this is version {}", hello->version,
                                      guest::kProtocolVersion)});
    }
    if (spec_.set_clock) spec_.payload->wall_clock_ns = wall_clock_ns();
    if (auto sent = payload_->send(*spec_.payload); !sent)
      end_because({DeathReason::kInvalidPayloadConfig, sent.error().message});
  } else if (std::holds_alternative<guest::Started>(message) && hello_seen_ && !payload_running_ && !payload_ended_) {
    payload_running_ = true;
    boot_.payload = observe::TraceSource::now();
    advance(VmState::kStarted);
    if (stopping_) (void)payload_->send(guest::Signal{.number = SIGTERM});
  } else if (const auto* exited = std::get_if<guest::Exited>(&message);
             exited != nullptr && payload_running_ && !payload_ended_) {
    finish_death_ = Death{DeathReason::kShutdown, "the payload has ended"};
    if (exited->signalled && observe::is_fault(exited->value)) {
      inspect(observe::CrashKind::kPayload, fmt::format("the payload was killed by signal {} ({})", exited->value,
                                                        ::strsignal(static_cast<int>(exited->value))));
    }
    payload_exited(exited->exit_code());
  } else if (const auto* failed = std::get_if<guest::ExecFailed>(&message);
             failed != nullptr && hello_seen_ && !payload_running_ && !payload_ended_) {
    payload_ended_ = true;
    hang_timer_.reset();
    exit_code_ = static_cast<int32_t>(std::min<uint32_t>(failed->exit_code, 255));
    log_ports_.clear();  // the streams may never come
    const std::string why = one_line(failed->message);
    finish_death_ = Death{DeathReason::kInvalidPayloadConfig, why};
    tell([&](VmObserver& observer) { observer.error(cid_, GuestError::kPayloadInvalidConfig, why); });
    finish();
  } else {
    on_payload_end(fail(ErrorCode::kCorrupt, "a message that is out of order"));
  }
}

void Vm::payload_exited(int32_t exit_code) {
  payload_ended_ = true;
  payload_running_ = false;
  exit_code_ = exit_code;
  advance(VmState::kFinished);
  // The guest had its output on the way before it said so. A hostile one may never end a stream.
  drain_timer_ = Timer(loop_, times_.stop, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->log_ports_.clear();
    if (!self->client_owns_streams() || self->stopping_) self->finish();
  });
  consider_finish();
}

void Vm::on_payload_end(Result<void> how) {
  payload_.reset();
  if (!how) {
    const std::string why = "the guest's init does not speak our protocol: " + how.error().message;
    tell([&](VmObserver& observer) { observer.error(cid_, GuestError::kUnknown, why); });
    return end_because({DeathReason::kUnknownRuntimeError, why});
  }
  if (payload_ended_) return consider_finish();
  // Init ends when the guest powers off, which is then told with the VM's end; or it crashed, and the VM ends by a panic.
  end_timer_ = Timer(loop_, times_.stop, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->end_because({DeathReason::kUnknownRuntimeError, "the guest's init is gone"});
  });
}

// The payload has ended: once its output has been read, the VM may go.
void Vm::consider_finish() {
  if (!payload_ended_ || finishing_ || phase_ != Phase::kRunning) return;
  if (!log_ports_.empty() || !log_.ended()) return;
  if (client_owns_streams() && !stopping_) return;
  finish();
}

bool Vm::writes_disks() const {
  return std::any_of(spec_.machine.disks.begin(), spec_.machine.disks.end(), [](const auto& disk) { return !disk.read_only; });
}

void Vm::finish() {
  if (finishing_ || phase_ != Phase::kRunning) return;
  if (inspect_id_) {
    finish_wanted_ = true;
    return;
  }
  finishing_ = true;
  drain_timer_.reset();
  stop_timer_.reset();
  payload_.reset();  // what init waits for before it powers off
  if (!writes_disks() && !client_owns_streams()) return end_because(*finish_death_);
  // The guest has something to write back, or is still sending what a client reads.
  end_timer_ = Timer(loop_, times_.stop, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->end_because(*self->finish_death_);
  });
}

Outcome<> Vm::signal(uint32_t number) {
  if (number < 1 || number > 64) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is not a signal", number));
  if (!payload_ || !payload_running_ || phase_ != Phase::kRunning) return wrong_state("send a signal");
  if (number == SIGKILL) return payload_->send(guest::Kill{});
  return payload_->send(guest::Signal{.number = number});
}

Outcome<> Vm::set_terminal_size(uint16_t rows, uint16_t columns) {
  if (!spec_.payload || !spec_.payload->terminal) return fail(ErrorCode::kInvalidArgument, "the VM's payload has no terminal");
  spec_.payload->rows = rows;
  spec_.payload->columns = columns;
  if (phase_ == Phase::kDead) return wrong_state("set the terminal's size");
  if (!payload_ || !payload_running_) return {};  // the payload starts with it
  return payload_->send(guest::WindowSize{.rows = rows, .columns = columns});
}

// ---- the guest's own words -----------------------------------------------------------------------------------------------

void Vm::guest_started() {
  if (phase_ == Phase::kRunning) advance(VmState::kStarted);
}

void Vm::guest_ready() {
  if (phase_ == Phase::kRunning && state_ < VmState::kFinished) advance(VmState::kReady);
}

void Vm::guest_finished(int32_t exit_code) {
  // With a connection to init that says it, and says it after the output.
  if (phase_ != Phase::kRunning || spec_.payload || state_ >= VmState::kFinished) return;
  exit_code_ = exit_code;
  advance(VmState::kFinished);
}

void Vm::guest_failed(GuestError error, const std::string& message) {
  if (phase_ != Phase::kRunning) return;
  diary_.warning(guest_error_limit_, {{"error", static_cast<int32_t>(error)}}, "the payload reports an error: {}", message);
  tell([&](VmObserver& observer) { observer.error(cid_, error, one_line(message)); });
}

void Vm::set_agent(std::shared_ptr<GuestAgent> agent) {
  if (phase_ == Phase::kRunning) agent_ = std::move(agent);
}

void Vm::drop_agent(const std::shared_ptr<GuestAgent>& agent) {
  if (agent_ != agent) return;
  agent_.reset();
  if (asked_agent_ && payload_ && payload_running_) (void)payload_->send(guest::Signal{.number = SIGTERM});
}

Outcome<> Vm::trim() {
  if (phase_ != Phase::kRunning) return wrong_state("give back memory");
  if (!agent_) return fail(ErrorCode::kUnsupported, "the guest has no agent that could give back memory");
  agent_->trim();
  return {};
}

// ---- the end -------------------------------------------------------------------------------------------------------------

void Vm::stop(Done<> done, std::optional<std::chrono::milliseconds> patience) {
  if (phase_ == Phase::kDead) return done({});
  const auto keep = shared_from_this();
  end_waiters_.push_back(std::move(done));
  const Death stopped{DeathReason::kKilled, "the VM was stopped"};
  if (phase_ == Phase::kEnding) return;
  if (phase_ != Phase::kRunning || patience == std::chrono::milliseconds(0)) return end_because(stopped);
  const bool again = std::exchange(stopping_, true);
  if (payload_ended_) return consider_finish();  // or the drain timer does
  // Init kills a payload that does not end in its time, so that its output and exit code are not lost; it gets a moment for that.
  const bool by_init = patience && payload_ && payload_running_;
  const auto deadline = EventLoop::Clock::now() + patience.value_or(times_.stop) + (by_init ? times_.last : 0ms);
  if (again && deadline >= stop_deadline_) return;  // whoever has less patience is heard
  let_run();                                        // a suspended guest hears nothing
  if (!ask_to_end(patience)) return end_because(stopped);
  stop_deadline_ = deadline;
  stop_timer_ = Timer(loop_, std::chrono::ceil<std::chrono::milliseconds>(deadline - EventLoop::Clock::now()),
                      [weak = weak_from_this(), stopped] {
                        if (auto self = weak.lock()) self->end_because(stopped);
                      });
}

// False: there is nobody to ask.
bool Vm::ask_to_end(std::optional<std::chrono::milliseconds> patience) {
  if (patience && payload_ && payload_running_)
    return payload_->send(guest::End{.grace_ms = static_cast<uint32_t>(std::min<int64_t>(patience->count(), UINT32_MAX))})
        .has_value();
  if (agent_) {
    asked_agent_ = true;
    agent_->shut_down();
    return true;
  }
  return payload_ && payload_running_ && payload_->send(guest::Signal{.number = SIGTERM});
}

void Vm::kill(Death death, Done<> done) {
  if (phase_ == Phase::kDead) return done({});
  end_waiters_.push_back(std::move(done));
  end_because(std::move(death));
}

void Vm::end_because(Death death) {
  if (phase_ == Phase::kDead) return;
  // What the VMM has said of its end, or what we have decided before, stays.
  if (!ended_ && !intended_) intended_ = std::move(death);
  if (!process_) return die();
  if (inspect_id_) {
    kill_wanted_ = true;  // in a moment: somebody is looking at it
    return;
  }
  kill_process();
}

void Vm::kill_process() {
  phase_ = Phase::kEnding;
  process_->kill();  // on_exit() follows
}

void Vm::on_exit(const ProcessExit& exit) {
  const auto keep = shared_from_this();
  exit_ = exit;
  // Its last messages may still be in the socket.
  while (control_watch_.active() && receive_one()) {}
  die();
}

void Vm::log_death() const {
  log::Level level = log::Level::kWarning;  // its guest's fault
  switch (death_.reason) {
    case DeathReason::kShutdown:
    case DeathReason::kReboot: level = log::Level::kInfo; break;
    case DeathReason::kKilled: level = intended_ ? log::Level::kInfo : log::Level::kError; break;
    case DeathReason::kInfrastructureError:
    case DeathReason::kUnknown:
    case DeathReason::kStartFailed: level = log::Level::kError; break;
    default: break;
  }
  diary_.at(level, lifecycle_limit_, {{"lifetime_ms", lifetime_.count()}}, "has died: {}", death_.message);
}

void Vm::die() {
  if (phase_ == Phase::kDead) return;
  const auto keep = shared_from_this();
  phase_ = Phase::kDead;
  for (Timer* timer : {&start_timer_, &hang_timer_, &end_timer_, &stop_timer_, &drain_timer_, &inspect_timer_}) timer->reset();
  payload_.reset();
  console_.finish();
  log_.finish();
  lifetime_ = uptime();
  death_ = explain({.intended = intended_,
                    .ended = ended_,
                    .exit = exit_,
                    .started = ran_,
                    .app = spec_.payload.has_value(),
                    .last_words = process_ ? process_->last_words() : std::string(),
                    .console = console_.tail(kConsoleSearched)});
  if (death_.reason == DeathReason::kShutdown && spec_.payload && !payload_ended_ && !intended_)
    death_.message = "the guest powered off before its payload had ended";
  log_death();
  const bool failed = ended_ && ended_->reason == vmm::control::EndReason::kInternalError && !intended_;
  const bool panicked = death_.reason == DeathReason::kCrash && !observe::panic_reason(console_.tail(kConsoleSearched)).empty();
  if (panicked && crash_report_ && crash_report_->kind == observe::CrashKind::kKernelPanic) {
    // Its report was made when it was new.
  } else if (ran_ && (death_.reason == DeathReason::kCrash || failed)) {
    report_crash(panicked ? observe::CrashKind::kKernelPanic : observe::CrashKind::kMachine, death_.message);
  } else if (ran_ && death_.reason == DeathReason::kWatchdogReboot) {
    report_crash(observe::CrashKind::kHang, death_.message);
  } else if (inspect_id_ && crash_kind_ != observe::CrashKind::kKernelPanic) {
    report_crash(crash_kind_, crash_cause_);
  }
  inspect_id_.reset();
  crash_memory_.reset();
  control_watch_.reset();
  vsock_watch_.reset();
  vsock_socket_.reset();
  process_.reset();
  spec_.fds.clear();
  listeners_.clear();
  guest_service_ = nullptr;
  agent_.reset();
  if (state_ >= VmState::kStarting) {
    holdings_.lease.keep_last_run(
        {.reason = static_cast<int32_t>(death_.reason),
         .message = death_.message,
         .exit_code = exit_code_.value_or(-1),
         .app = spec_.payload.has_value(),
         .crash_report = crash_report_ ? crash_report_->path.substr(crash_report_->path.rfind('/') + 1) : std::string()},
        log_.tail(StreamLog::kCapacity));
  }
  holdings_ = {};
  state_ = VmState::kDead;
  suspended_ = false;

  auto connects = std::move(connects_);
  for (auto& [id, pending] : connects) pending.done(fail(ErrorCode::kUnavailable, "the VM has ended"));
  auto orders = std::move(orders_);
  for (auto& [id, pending] : orders) pending.done(fail(ErrorCode::kUnavailable, "the VM has ended"));
  auto loads = std::exchange(load_waiters_, {});
  for (auto& [id, pending] : loads) pending.done(fail(ErrorCode::kUnavailable, "the VM has not started"));
  auto statistics = std::move(statistics_);
  for (auto& [id, pending] : statistics) pending.done(fail(ErrorCode::kUnavailable, "the VM has ended"));
  debugger_.reset();
  const auto debuggers = std::exchange(debugger_waiters_, {});
  for (const auto& [id, done] : debuggers) done(fail(ErrorCode::kUnavailable, "the VM has ended"));
  for (Done<>* starting : {&prepare_done_, &start_done_}) {
    if (const auto done = std::exchange(*starting, nullptr))
      done(std::unexpected(Failure({ErrorCode::kUnavailable, "the VM did not start: " + death_.message})));
  }
  const auto observers = std::exchange(observers_, {});
  for (const auto& observer : observers) observer->died(cid_, death_);
  const auto waiters = std::exchange(end_waiters_, {});
  for (const auto& waiter : waiters) waiter({});
  if (const auto handler = std::exchange(death_handler_, nullptr)) handler();
}

// ---- crash reports -------------------------------------------------------------------------------------------------------

void Vm::offer_crash_memory() {
  if (spec_.crash_folder.empty() || !check_open("looked into")) return;
  auto memory = observe::make_crash_memory();
  if (!memory) return;  // the report will do without
  const int fd = memory->get();
  if (send(vmm::control::CrashReports{.memory = 0}, std::span(&fd, 1))) crash_memory_ = std::move(*memory);
}

// Has the VMM read the VM for a report, which is made when it has.
void Vm::inspect(observe::CrashKind kind, std::string cause) {
  if (spec_.crash_folder.empty() || inspect_id_) return;
  crash_kind_ = kind;
  crash_cause_ = std::move(cause);
  if (!crash_memory_.valid()) return report_crash(crash_kind_, crash_cause_);
  const auto sent = send(vmm::control::Inspect{});
  if (!sent) return;
  inspect_id_ = *sent;
  inspect_timer_ = Timer(loop_, times_.stop, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->inspected();
  });
}

// Linux has panicked and stays where it is, or somebody says so. The VM stays as well: that is what its kernel was told
// (panic=0).
void Vm::on_panic_heard() {
  constexpr unsigned kMaxLooks = 3;  // a guest may say it as often as it likes
  // The console is faster than the VMM's word that the guest runs.
  if ((phase_ != Phase::kStarting && phase_ != Phase::kRunning) || panic_looks_ == kMaxLooks) return;
  ++panic_looks_;
  const std::string reason = observe::panic_reason(console_.tail(kConsoleSearched));
  if (!crash_memory_.valid()) panic_looks_ = kMaxLooks;  // there is nothing to tell by whether it is so
  inspect(observe::CrashKind::kKernelPanic, "the guest's kernel panicked" + (reason.empty() ? "" : ": " + reason));
}

void Vm::inspected() {
  inspect_id_.reset();
  inspect_timer_.reset();
  if (crash_kind_ == observe::CrashKind::kKernelPanic && !observe::shows_panic(observe::read_crash_memory(crash_memory_.get()))) {
    (void)::pwrite(crash_memory_.get(), "", 1, 0);  // it was only said so
  } else {
    if (crash_kind_ == observe::CrashKind::kKernelPanic) panic_looks_ = UINT_MAX;
    report_crash(crash_kind_, crash_cause_);
  }
  if (kill_wanted_ && phase_ != Phase::kDead) return kill_process();
  if (std::exchange(finish_wanted_, false)) finish();
}

void Vm::report_crash(observe::CrashKind kind, const std::string& cause) {
  if (spec_.crash_folder.empty()) return;
  const auto now = std::chrono::system_clock::now();
  const std::string report = observe::crash_report(
      {.kind = kind,
       .name = spec_.name,
       .cid = cid_,
       .isolation = std::string(to_string(spec_.isolation)),
       .backend = backend_,
       .cause = cause,
       .time = now,
       .uptime = uptime(),
       .guest = crash_memory_.valid() ? observe::read_crash_memory(crash_memory_.get()) : std::string(),
       .console = console_.tail(observe::kMaxCrashConsole)});
  const auto path = observe::keep_crash_report(spec_.crash_folder, spec_.crash_reports, now, report);
  if (!path) {
    // A disk that is full costs the report, not the service.
    diary_.warning(lifecycle_limit_, {}, "no crash report is kept: {}", path.error().message);
    return;
  }
  crash_report_ = observe::KeptReport{.path = *path, .vm = spec_.name, .kind = kind, .cause = one_line(cause), .time = now};
  diary_.warning(lifecycle_limit_, {{"path", *path}}, "has left a crash report: {}", one_line(cause));
}

}  // namespace adyton::service
