// A VM in an adyton-vmm process: the control protocol (vmm/control/protocol.h) with that, and guest/exec_protocol.h with the
// guest's init.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/exec_connection.h"
#include "cli/vm_handle.h"
#include "guest/exec_protocol.h"
#include "observe/boot_timeline.h"
#include "observe/crash_report.h"
#include "vmm/control/protocol.h"
#include "vmm/control/socket.h"
#include "vmm/hybrid/hybrid_socket.h"

namespace adyton::cli {

struct DirectVmConfig {
  vmm::control::Configure vm;
  std::vector<UniqueFd> fds;                  // what `vm` refers to
  std::optional<guest::ExecRequest> request;  // none: a VM of the user's own
  std::string vsock_uds;                      // where its ports are reached (vmm/hybrid); empty: nowhere
  UniqueFd debugger;                          // a listening socket, if one may connect
  bool wait_for_debugger = false;
  uint64_t began = 0;     // when its start did: nanoseconds of CLOCK_MONOTONIC
  bool timeline = false;  // tell how it went
  // Called when the VM is loaded and has not run its first instruction, which it does when that returns. If it fails, the VM
  // ends.
  std::function<Result<void>()> before_start;
  // Is told when there is something for a crash report, with what the VMM has read of the VM (observe::CrashFacts::guest; may be
  // ""). None: nobody wants to know. The second is the backend's name.
  std::function<void(observe::CrashKind, const std::string& backend, const std::string& cause, const std::string& guest)>
      report_crash;
};

class DirectVm final : public VmHandle {
 public:
  // The socket outlives it.
  DirectVm(DirectVmConfig config, vmm::control::Socket& socket) : config_(std::move(config)), socket_(socket) {}

  Result<void> start() override;
  void watch(std::vector<pollfd>& polls) const override;
  std::vector<VmEvent> step(std::span<const pollfd> polls) override;
  Result<void> signal(int number) override;
  Result<void> resize(const TerminalSize& size) override;
  void release(bool) override { guest_.reset(); }

  // In before_start() only.
  Result<vmm::control::Statistics> read_statistics();
  Result<UniqueFd> record(decltype(vmm::control::Request::body) body, int memory);
  // How the start went, so far.
  [[nodiscard]] std::vector<observe::BootPhase> boot_phases() const { return observe::boot_phases(boot_); }

  // The guest's kernel seems to have panicked and to stay where it is. Is reported if it is so.
  void look_for_panic(const std::string& cause);
  // The session is over, and all of the console is there: reports how the VM ended, if that was a crash. `panic`: the kernel's
  // reason.
  void report_end(const std::optional<std::string>& panic);

 private:
  enum class Phase { kConfiguring, kBooting, kStarting, kRunning, kOver };

  Result<void> send_request(decltype(vmm::control::Request::body) body, std::span<const int> fds = {});
  Result<void> to_guest(const guest::Message& message);
  void on_control(std::vector<VmEvent>& events);
  void on_loaded(std::vector<VmEvent>& events);
  template <typename T>
  Result<std::pair<T, std::vector<UniqueFd>>> answer_to(uint32_t id);
  void on_event(vmm::control::Event event, std::vector<UniqueFd> fds, std::vector<VmEvent>& events);
  void tell_boot(std::vector<VmEvent>& events);
  void on_vsock_client(uint32_t port, UniqueFd client);
  void on_asked(const vmm::control::Asked& asked);
  void on_reply(const vmm::control::Reply& reply, std::vector<VmEvent>& events);
  void on_guest(std::span<const pollfd> polls, std::vector<VmEvent>& events);
  void on_message(const guest::Message& message, std::vector<VmEvent>& events);
  Result<void> offer_crash_memory();
  bool inspect(observe::CrashKind kind, std::string cause);
  void inspected(std::vector<VmEvent>& events);
  void report(observe::CrashKind kind, const std::string& cause);

  DirectVmConfig config_;
  vmm::control::Socket& socket_;
  Phase phase_ = Phase::kConfiguring;
  uint32_t next_request_ = 1;
  uint32_t configure_id_ = 0;
  std::set<uint32_t> vital_;  // requests whose failure is the VM's
  std::string backend_;
  observe::BootTimes boot_;
  std::optional<ExecConnection> guest_;
  std::unique_ptr<vmm::hybrid::HybridSocket> vsock_;
  bool guest_left_ = false;
  std::optional<vmm::control::Ended> ended_;
  UniqueFd crash_memory_;               // where the VMM leaves its part of a report
  std::optional<uint32_t> inspect_id_;  // the request that is under way
  observe::CrashKind crash_kind_ = observe::CrashKind::kMachine;
  std::string crash_cause_;
  bool panic_reported_ = false;
  unsigned panic_looks_ = 0;
  std::optional<PayloadEnded> payload_end_;  // is told when the VM has been read
  bool gone_ = false;                        // the control socket has ended
};

}  // namespace adyton::cli
