// The part of Vm that is about those who look at it: statistics, captures, traces, dumps, debuggers.
#include <fmt/format.h>

#include "service/vm.h"

namespace adyton::service {

using namespace vmm::control;

// ---- statistics ----------------------------------------------------------------------------------------------------------

void Vm::statistics(Done<VmStatistics> done) {
  if (phase_ != Phase::kRunning) return done(wrong_state("tell what it has done"));
  ask(ReadStatistics{}, {}, &Vm::statistics_, std::move(done));
}

void Vm::learn_boot_times(std::function<void()> learned) {
  ask(ReadStatistics{}, {}, &Vm::statistics_, Done<VmStatistics>([weak = weak_from_this(), learned](const auto& told) {
        if (const auto self = weak.lock(); self && told) {
          self->boot_.configuring = told->counts.configuring;
          self->boot_.running = told->counts.running;
        }
        learned();
      }));
}

void Vm::boot_phases(Done<std::vector<observe::BootPhase>> done) {
  if (boot_.running != 0 || phase_ != Phase::kRunning) return done(observe::boot_phases(boot_));
  learn_boot_times([weak = weak_from_this(), done] {
    const auto self = weak.lock();
    done(self ? observe::boot_phases(self->boot_) : std::vector<observe::BootPhase>());
  });
}

// ---- captures and traces -------------------------------------------------------------------------------------------------

void Vm::when_loaded(const char* what, Done<> then) {
  if (phase_ == Phase::kPrepared || phase_ == Phase::kStarting || phase_ == Phase::kRunning) return then({});
  if (phase_ != Phase::kNew && phase_ != Phase::kConfiguring) return then(wrong_state(what));
  if (load_waiters_.size() >= kMaxRequests)
    return then(fail(ErrorCode::kExhausted, "too many captures and traces wait for the VM to start"));
  const uint32_t id = next_waiter_++;
  Timer timer(loop_, times_.start, [weak = weak_from_this(), id, what] {
    const auto self = weak.lock();
    if (!self) return;
    if (auto node = self->load_waiters_.extract(id)) node.mapped().done(self->wrong_state(what));
  });
  load_waiters_.emplace(id, Pending<void>{.done = std::move(then), .timer = std::move(timer)});
}

void Vm::capture(UniqueFd memory, vmm::control::Capture what, Done<UniqueFd> done) {
  if (what.ports.size() > vmm::control::kMaxCapturePorts)
    return done(fail(ErrorCode::kInvalidArgument,
                     fmt::format("a capture has at most {} ports, not {}", vmm::control::kMaxCapturePorts, what.ports.size())));
  what.ring = 0;
  look("capture", std::move(memory), std::move(what), std::move(done));
}

void Vm::trace(UniqueFd rings, vmm::control::Trace what, Done<UniqueFd> done) {
  if (what.ring_count > vmm::control::kMaxTraceRings)
    return done(fail(ErrorCode::kInvalidArgument, fmt::format("a trace has at most {} rings", vmm::control::kMaxTraceRings)));
  what.rings = 0;
  look("be traced", std::move(rings), what, std::move(done));
}

void Vm::look(const char* what, UniqueFd memory, decltype(Request::body) body, Done<UniqueFd> done) {
  // A std::function must be copyable.
  when_loaded(what, [this, ring = std::make_shared<UniqueFd>(std::move(memory)), body = std::move(body),
                     done = std::move(done)](const Outcome<>& loaded) {
    if (!loaded) return done(std::unexpected(loaded.error()));
    const int fd = ring->get();
    ask(body, std::span(&fd, 1), &Vm::connects_, done);
  });
}

void Vm::trace_sources(Done<VmStatistics> done) {
  when_loaded("be traced", [this, done = std::move(done)](const Outcome<>& loaded) {
    if (!loaded) return done(std::unexpected(loaded.error()));
    ask(ReadStatistics{}, {}, &Vm::statistics_, done);
  });
}

// ---- debugger ------------------------------------------------------------------------------------------------------------

Result<uint32_t> Vm::send_debugger() {
  hang_timer_.reset();  // somebody looks at it: it takes its time
  spec_.boot_timeout = {};
  const int fd = debugger_.get();
  const auto sent = send(*debugger_request_, std::span(&fd, 1));
  debugger_.reset();
  return sent;
}

Outcome<> Vm::check_open(std::string_view what) const {
  if (spec_.isolation != IsolationLevel::kNone) {
    return fail(ErrorCode::kPermission,
                fmt::format("the VM '{}' is isolated (level {}): nobody may look into it, so that it cannot be {}", spec_.name,
                            to_string(spec_.isolation), what));
  }
  if (!spec_.debuggable) {
    return fail(ErrorCode::kPermission,
                fmt::format("the VM '{}' was made with debug level NONE: only one with FULL can be {}", spec_.name, what));
  }
  return {};
}

void Vm::dump(Done<UniqueFd> done) {
  if (auto open = check_open("dumped"); !open) return done(std::unexpected(open.error()));
  if (phase_ != Phase::kRunning) return done(wrong_state("dump"));
  ask(vmm::control::Dump{}, {}, &Vm::connects_, std::move(done));
}

void Vm::attach_debugger(UniqueFd listener, bool hold, Done<> done) {
  if (auto open = check_open("debugged"); !open) return done(std::move(open));
  if (phase_ != Phase::kNew && (phase_ != Phase::kRunning || hold))
    return done(wrong_state(hold ? "wait for a debugger" : "attach a debugger"));
  if (debugger_waiters_.size() >= kMaxRequests)
    return done(fail(ErrorCode::kExhausted, "debuggers are being attached to the VM already"));
  debugger_request_ = AttachDebugger{.listener = 0, .hold = hold};
  debugger_ = std::move(listener);
  if (phase_ == Phase::kNew) return done({});
  const auto sent = send_debugger();
  if (!sent) return done(std::unexpected(Failure(sent.error())));
  debugger_waiters_.emplace(*sent, std::move(done));
}

}  // namespace adyton::service
