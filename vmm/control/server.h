// The VMM's side of the control socket: takes requests, drives one virtual machine, reports events.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/control/protocol.h"
#include "vmm/control/socket.h"

namespace adyton::vmm::control {

// What happens in the VM. Called from any of its threads.
class VmObserver {
 public:
  virtual ~VmObserver() = default;
  virtual void accepted(const Accepted& what, UniqueFd socket) = 0;
  virtual void asked(const Asked& question) = 0;
  virtual void ended(EndReason reason, std::string message) = 0;
};

// One VM as the control server sees it. The methods are called on the server's thread. The destructor ends the VM and returns
// when none of its threads runs any more.
class ControlledVm {
 public:
  virtual ~ControlledVm() = default;
  virtual Result<void> start() = 0;
  virtual Result<UniqueFd> connect(uint32_t port, VsockType type) = 0;
  virtual void connect_hybrid(uint32_t port, UniqueFd socket) = 0;
  virtual void answer(uint32_t question, UniqueFd socket) = 0;
  // The reader's end of the ring's wake socket.
  virtual Result<UniqueFd> capture(UniqueFd ring, const Capture& what) = 0;
  // The other end of the socket whose closing ends it.
  virtual Result<UniqueFd> trace(UniqueFd rings, const Trace& what) = 0;
  virtual void set_balloon(uint64_t bytes) = 0;
  // All but the id.
  [[nodiscard]] virtual Statistics statistics() const = 0;
  // `listener`: AttachDebugger's. `hold` only before start(). A VM that does not say otherwise cannot be debugged.
  virtual Result<void> attach_debugger(UniqueFd listener, bool hold);
  virtual Result<void> listen(uint32_t port, VsockType type) = 0;
  // Of a started VM; each may be called in any order, any number of times.
  virtual Result<void> suspend() = 0;
  virtual Result<void> resume() = 0;
  // The same holds for these. The reader's end of the dump's stream.
  virtual Result<UniqueFd> dump();
  virtual Result<void> keep_crash_reports(UniqueFd memory);
  virtual Result<void> inspect();
};

class VmFactory {
 public:
  virtual ~VmFactory() = default;
  // All but the id.
  virtual Description describe() = 0;
  virtual Result<std::unique_ptr<ControlledVm>> create(const Configure& configuration, std::vector<UniqueFd> fds,
                                                       VmObserver& observer) = 0;
};

class Server final : private VmObserver {
 public:
  Server(Socket socket, VmFactory& factory) : socket_(std::move(socket)), factory_(factory) {}
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until the VM has ended, or the client is gone, or it breaks the protocol (an error). The VM is gone when this returns.
  Result<void> run();

 private:
  void accepted(const Accepted& what, UniqueFd socket) override;
  void asked(const Asked& question) override;
  void ended(EndReason reason, std::string message) override;

  Result<void> serve();
  Result<void> handle(Request request, std::vector<UniqueFd> fds);
  Result<void> configure(const Configure& configuration, std::vector<UniqueFd> fds);
  Result<void> start(uint32_t id);
  Result<UniqueFd> connect(const Connect& what, std::vector<UniqueFd> fds);
  Result<UniqueFd> capture(const Capture& what, std::vector<UniqueFd> fds);
  Result<void> attach_debugger(const AttachDebugger& request, std::vector<UniqueFd> fds);
  Result<void> listen(const Listen& what);
  Result<void> set_suspended(bool suspended);
  Result<UniqueFd> trace(const Trace& what, std::vector<UniqueFd> fds);
  Result<UniqueFd> look_inside(const Request& request, std::vector<UniqueFd> fds);
  Result<void> reply(uint32_t id, Result<UniqueFd> outcome);
  Result<void> acknowledge(uint32_t id, const Result<void>& outcome);
  Result<void> send(const Event& event, std::span<const int> fds = {});

  Socket socket_;
  VmFactory& factory_;
  std::mutex send_mutex_;  // events come from the VM's threads
  bool end_sent_ = false;  // guarded by send_mutex_: nothing is sent after `ended`
  UniqueFd end_signal_;    // eventfd: readable once the VM has ended
  std::unique_ptr<ControlledVm> vm_;
  bool started_ = false;
};

}  // namespace adyton::vmm::control
