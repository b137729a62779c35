// A VM in an adyton-vmm process: the control protocol (vmm/control/protocol.h) with that, and guest/exec_protocol.h with the
// guest's init.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "cli/exec_connection.h"
#include "cli/vm_handle.h"
#include "guest/exec_protocol.h"
#include "observe/boot_timeline.h"
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
  // Tell how the start went, which began at this time (nanoseconds of CLOCK_MONOTONIC).
  std::optional<uint64_t> timeline;
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

 private:
  enum class Phase { kConfiguring, kBooting, kStarting, kRunning, kOver };

  Result<void> send_request(decltype(vmm::control::Request::body) body, std::span<const int> fds = {});
  Result<void> to_guest(const guest::Message& message);
  void on_control(std::vector<VmEvent>& events);
  void on_event(vmm::control::Event event, std::vector<UniqueFd> fds, std::vector<VmEvent>& events);
  void tell_boot(std::vector<VmEvent>& events);
  void on_vsock_client(uint32_t port, UniqueFd client);
  void on_asked(const vmm::control::Asked& asked);
  void on_reply(const vmm::control::Reply& reply, std::vector<VmEvent>& events);
  void on_guest(std::span<const pollfd> polls, std::vector<VmEvent>& events);
  void on_message(const guest::Message& message, std::vector<VmEvent>& events);

  DirectVmConfig config_;
  vmm::control::Socket& socket_;
  Phase phase_ = Phase::kConfiguring;
  uint32_t next_request_ = 1;
  observe::BootTimes boot_;
  std::optional<ExecConnection> guest_;
  std::unique_ptr<vmm::hybrid::HybridSocket> vsock_;
  bool guest_left_ = false;
  bool gone_ = false;  // the control socket has ended
};

}  // namespace adyton::cli
