// One virtual machine, from start to death: drives its adyton-vmm over the control socket, speaks with the guest's init, keeps
// its console and log, and tells observers what happens.
//
//   new -> configuring (-> prepared) -> starting -> running -> ending -> dead
//
// A VM that has a process dies when that process has been waited for; everything it had is gone then, and observers hear of its
// death, once and last. Threading: the event loop's, all of it.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log/logger.h"
#include "base/unique_fd.h"
#include "observe/boot_timeline.h"
#include "observe/crash_report.h"
#include "service/budget.h"
#include "service/call_trace.h"
#include "service/event_loop.h"
#include "service/failure.h"
#include "service/init_words.h"
#include "service/metrics/call_metrics.h"
#include "service/payload_connection.h"
#include "service/record_store.h"
#include "service/stream_log.h"
#include "service/vm_statistics.h"
#include "service/vm_types.h"
#include "service/vmm_process.h"
#include "vmm/control/protocol.h"
#include "vmm/hybrid/hybrid_socket.h"

namespace adyton::service {

inline constexpr uint32_t kGuestServicePort = 5000;  // IVirtualMachineService.VM_BINDER_SERVICE_PORT
inline constexpr uint32_t kMinVsockPort = 1024;

// What happens to a VM, in order; none of these may block.
class VmObserver {
 public:
  virtual ~VmObserver() = default;
  virtual void payload_started(uint32_t cid) = 0;
  virtual void payload_ready(uint32_t cid) = 0;
  virtual void payload_finished(uint32_t cid, int32_t exit_code) = 0;
  virtual void error(uint32_t cid, GuestError error, const std::string& message) = 0;
  virtual void died(uint32_t cid, const Death& death) = 0;
};

// The guest's agent (IGuestAgent), if it has one; neither may block.
class GuestAgent {
 public:
  virtual ~GuestAgent() = default;
  virtual void shut_down() = 0;
  virtual void trim() = 0;
};

class Vm : public std::enable_shared_from_this<Vm> {
 public:
  struct Times {
    std::chrono::milliseconds start{60'000};    // for the VMM to configure and start
    std::chrono::milliseconds stop{5'000};      // for a guest that was asked to end
    std::chrono::milliseconds last{2'000};      // for init to kill a payload that has used up its patience
    std::chrono::milliseconds exit{1'000};      // for a VMM that closed its control socket
    std::chrono::milliseconds connect{10'000};  // and other requests to a VMM that runs
  };
  // What is given back when the VM is dead.
  struct Holdings {
    Budget::Share share;
    RecordStore::Lease lease;
  };
  using StreamHandler = std::function<void(UniqueFd)>;
  template <typename T = void>
  using Done = std::function<void(Outcome<T>)>;

  static constexpr size_t kMaxListeners = 56;  // with our own the VMM's 64 are not reached
  static constexpr size_t kMaxRequests = 64;   // of one kind to the VMM at a time

  Vm(EventLoop& loop, std::string vmm_program, uint32_t cid, VmSpec spec, Holdings holdings);
  Vm(EventLoop& loop, std::string vmm_program, uint32_t cid, VmSpec spec, Holdings holdings, Times times);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  [[nodiscard]] uint32_t cid() const { return cid_; }
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  [[nodiscard]] VmState state() const { return state_; }
  [[nodiscard]] IsolationLevel isolation() const { return spec_.isolation; }
  [[nodiscard]] bool detached() const { return spec_.detached; }
  [[nodiscard]] const Requester& requester() const { return spec_.requester; }
  [[nodiscard]] VmInfo info() const;

  static constexpr size_t kMaxObservers = 1024;
  // A dead VM tells a new observer at once.
  Outcome<> observe(std::shared_ptr<VmObserver> observer);
  // Ends those for whom `whose` holds.
  void leave(const std::function<bool(const VmObserver&)>& whose);
  // Called last, when it is dead.
  void on_death(std::function<void()> function) { death_handler_ = std::move(function); }
  // Takes the guest's connections to kGuestServicePort.
  void on_guest_service(StreamHandler handler) { guest_service_ = std::move(handler); }

  // `done` of these is called exactly once; kWrongState as they say in IVirtualMachine.aidl.
  // The first half of start(), which may follow.
  void prepare(Done<> done);
  void start(Done<> done);
  // `patience`: for a guest that was asked to end, instead of Times::stop; 0 asks nobody.
  void stop(Done<> done, std::optional<std::chrono::milliseconds> patience = {});
  void kill(Death death, Done<> done);
  using VsockType = vmm::control::VsockType;
  void connect(uint32_t port, Done<UniqueFd> done, VsockType type = VsockType::kStream);
  // Packets go to the ring that `memory` is; the outcome is its wake socket (vmm/control/protocol.h).
  void capture(UniqueFd memory, vmm::control::Capture what, Done<UniqueFd> done);
  void trace(UniqueFd rings, vmm::control::Trace what, Done<UniqueFd> done);
  // As statistics(), but of a VM that has not been loaded yet it waits for that; so do captures and traces.
  void trace_sources(Done<VmStatistics> done);
  // Of the calls about it, its clients' and its guest's; any thread.
  [[nodiscard]] const std::shared_ptr<CallTrace>& call_trace() const { return call_trace_; }
  [[nodiscard]] const std::shared_ptr<CallMetrics>& call_metrics() const { return call_metrics_; }
  // How its start went, so far.
  void boot_phases(Done<std::vector<observe::BootPhase>> done);
  void statistics(Done<VmStatistics> done);
  void attach_debugger(UniqueFd listener, bool hold, Done<> done);
  void dump(Done<UniqueFd> done);
  void listen(uint32_t port, StreamHandler handler, Done<> done, VsockType type = VsockType::kStream);
  void set_balloon(uint64_t bytes, Done<> done);
  void suspend(Done<> done);
  void resume(Done<> done);

  void unlisten(uint32_t port);
  Outcome<> signal(uint32_t number);
  Outcome<> set_terminal_size(uint16_t rows, uint16_t columns);
  Outcome<> trim();
  void set_detached(bool detached) { spec_.detached = detached; }
  // What the service's own log says of it.
  [[nodiscard]] const log::Logger& diary() const { return diary_; }
  StreamLog& console() { return console_; }
  StreamLog& log() { return log_; }

  // What the guest says over IVirtualMachineService.
  void guest_started();
  void guest_ready();
  void guest_finished(int32_t exit_code);
  void guest_failed(GuestError error, const std::string& message);
  void set_agent(std::shared_ptr<GuestAgent> agent);
  // It has died; whoever is asked to stop meanwhile is asked otherwise. Nothing if another has taken its place.
  void drop_agent(const std::shared_ptr<GuestAgent>& agent);

 private:
  enum class Phase : uint8_t { kNew, kConfiguring, kPrepared, kStarting, kRunning, kEnding, kDead };
  template <typename T>
  struct Pending {
    Done<T> done;
    Timer timer;
  };
  template <typename T>
  using Requests = std::map<uint32_t, Pending<T>>;  // that the VMM has not answered yet, by id
  // Calls `then` when the VM's process has loaded it, at once or later, or with what has come between: it cannot do `what`.
  void when_loaded(const char* what, Done<> then);
  void look(const char* what, UniqueFd memory, decltype(vmm::control::Request::body) body, Done<UniqueFd> done);

  void load();
  Outcome<> launch();
  void on_loaded();
  void let_start();
  void arm_start_timer();
  Result<void> add_console();
  void choose_ports();
  Outcome<> open_vsock_socket();
  void on_vsock_client(uint32_t port, UniqueFd client);
  void on_asked(const vmm::control::Asked& asked);
  Result<uint32_t> send(decltype(vmm::control::Request::body) body, std::span<const int> fds = {});
  Outcome<> check_listener(uint32_t port, VsockType type) const;
  void arm_hang_timer(std::chrono::milliseconds left);
  [[nodiscard]] bool awaits_payload() const;
  void has_suspended();
  void has_resumed();
  void let_run();
  void correct_clock();
  void on_control(uint32_t events);
  bool receive_one();
  void on_event(vmm::control::Event event, std::vector<UniqueFd> fds);
  void on_reply(const vmm::control::Reply& reply, std::vector<UniqueFd> fds);
  // Sends a request; its answer, or that there was none in time, goes to `done`.
  // When its guest began is what the VMM knows best.
  void learn_boot_times(std::function<void()> learned);
  template <typename T>
  void ask(decltype(vmm::control::Request::body) body, std::span<const int> fds, Requests<T> Vm::*requests, Done<T> done);
  void on_description(const vmm::control::Description& description);
  void on_accepted(uint32_t port, UniqueFd stream);
  void on_ended(vmm::control::Ended ended);
  void on_exit(const ProcessExit& exit);
  Result<uint32_t> send_debugger();
  // --- crash reports
  void offer_crash_memory();
  // The payload was killed by a signal that tells of a fault: what the guest looks like is read before anything else happens to
  // it.
  void inspect(observe::CrashKind kind, std::string cause);
  void on_panic_heard();
  void inspected();
  void report_crash(observe::CrashKind kind, const std::string& cause);
  // Whether somebody may look into the guest.
  [[nodiscard]] Outcome<> check_open(std::string_view what) const;
  void running();

  void on_message(const guest::Message& message);
  void on_payload_end(Result<void> how);
  void payload_exited(int32_t exit_code);
  void consider_finish();
  void finish();

  // Since start(); nothing before.
  [[nodiscard]] std::chrono::milliseconds uptime() const;
  void log_death() const;
  void advance(VmState state);
  void end_because(Death death);
  void kill_process();
  void die();
  void tell(const std::function<void(VmObserver&)>& what);
  bool ask_to_end(std::optional<std::chrono::milliseconds> patience);
  [[nodiscard]] bool client_owns_streams() const;
  [[nodiscard]] bool writes_disks() const;
  [[nodiscard]] std::unexpected<Failure> wrong_state(const char* what) const;

  EventLoop& loop_;
  const std::string vmm_program_;
  const uint32_t cid_;
  VmSpec spec_;
  Holdings holdings_;
  const Times times_;

  const log::Logger diary_;  // of what happens to it; log_ is its payload's output
  // All VMs share it: each has few lines, but a program that makes VMs in a loop must not fill the log with them.
  static inline log::RateLimit lifecycle_limit_{400, std::chrono::milliseconds(50)};
  log::RateLimit guest_error_limit_;
  log::RateLimit lost_stream_limit_;

  Phase phase_ = Phase::kNew;
  VmState state_ = VmState::kNotStarted;
  std::vector<std::shared_ptr<VmObserver>> observers_;
  std::function<void()> death_handler_;
  std::string backend_;

  std::unique_ptr<VmmProcess> process_;
  Watch control_watch_;
  uint32_t next_request_ = 1;
  uint32_t configure_id_ = 0;
  uint32_t start_id_ = 0;
  Done<> prepare_done_;  // start() is to come
  Done<> start_done_;
  std::vector<Done<>> end_waiters_;
  Requests<void> load_waiters_;  // captures and traces that begin with it; by a number of their own
  uint32_t next_waiter_ = 0;
  Requests<UniqueFd> connects_;
  Requests<VmStatistics> statistics_;
  Requests<void> orders_;  // listen, suspend, resume
  // A debugger's socket, until the VM's process can have it; then who waits for its answer, by request.
  std::optional<vmm::control::AttachDebugger> debugger_request_;
  UniqueFd debugger_;
  std::map<uint32_t, Done<>> debugger_waiters_;
  observe::BootTimes boot_;
  const std::shared_ptr<CallMetrics> call_metrics_ = std::make_shared<CallMetrics>();
  const std::shared_ptr<CallTrace> call_trace_ = std::make_shared<CallTrace>();

  std::map<uint32_t, StreamHandler> listeners_;  // by port; an empty one has gone
  std::set<uint32_t> ports_;                     // that the VMM listens on
  std::set<uint32_t> seqpacket_ports_;           // of these
  std::unique_ptr<vmm::hybrid::HybridSocket> vsock_socket_;
  Watch vsock_watch_;
  StreamHandler guest_service_;
  std::shared_ptr<GuestAgent> agent_;

  std::unique_ptr<PayloadConnection> payload_;
  bool hello_seen_ = false;
  bool payload_running_ = false;
  bool payload_ended_ = false;
  bool stopping_ = false;
  bool asked_agent_ = false;  // to stop
  bool suspended_ = false;
  bool finishing_ = false;
  std::optional<int32_t> exit_code_;
  std::optional<Death> finish_death_;  // what a VM whose payload has ended dies of
  std::set<uint32_t> log_ports_;       // streams of the payload that are the log's and have not come yet
  StreamLog console_;
  StreamLog log_;

  Timer start_timer_;
  Timer hang_timer_;  // while awaits_payload(), but not while it is suspended
  EventLoop::Clock::time_point hang_deadline_;
  std::chrono::milliseconds hang_left_{0};  // of a suspended VM
  Timer end_timer_;
  Timer stop_timer_;
  EventLoop::Clock::time_point stop_deadline_;
  Timer drain_timer_;
  UniqueFd crash_memory_;               // where the VMM leaves its part of a report
  std::optional<uint32_t> inspect_id_;  // the request that is under way; finish() waits for it
  Timer inspect_timer_;
  observe::CrashKind crash_kind_ = observe::CrashKind::kMachine;
  std::string crash_cause_;
  observe::PanicWatch panic_watch_;
  InitWords init_words_;
  log::RateLimit init_limit_;
  unsigned panic_looks_ = 0;
  std::optional<observe::KeptReport> crash_report_;   // the last one of this run
  bool finish_wanted_ = false, kill_wanted_ = false;  // when that is over
  EventLoop::Clock::time_point started_at_;
  std::chrono::milliseconds lifetime_{0};
  std::optional<Death> intended_;
  std::optional<vmm::control::Ended> ended_;
  std::optional<ProcessExit> exit_;
  bool ran_ = false;
  Death death_;
};

}  // namespace adyton::service
