// The service's calls to a client: callbacks and vsock connections. They go through the client's queue, and so do the ends of
// proxies, which are calls too: the event loop must not wait for a client.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "adyton/virtualizationservice/IVirtualMachineCallback.h"
#include "adyton/virtualizationservice/IVsockListener.h"
#include "service/call_queue.h"
#include "service/vm.h"

namespace adyton::service {

// Passes on what it observes.
class CallbackObserver final : public VmObserver {
 public:
  CallbackObserver(std::shared_ptr<CallQueue> queue, std::shared_ptr<virtualizationservice::IVirtualMachineCallback> callback)
      : queue_(std::move(queue)), callback_(std::move(callback)) {}
  ~CallbackObserver() override;

  // `gone` runs once the client's session has ended, at once or on any thread, as long as this lives. Once, by whoever made this.
  void on_session_end(std::function<void()> gone);
  [[nodiscard]] bool calls(virtualizationservice::IVirtualMachineCallback& callback) const {
    return callback_->as_binder() == callback.as_binder();
  }

  void payload_started(uint32_t cid) override;
  void payload_ready(uint32_t cid) override;
  void payload_finished(uint32_t cid, int32_t exit_code) override;
  void error(uint32_t cid, GuestError error, const std::string& message) override;
  void died(uint32_t cid, const Death& death) override;

 private:
  const std::shared_ptr<CallQueue> queue_;
  std::shared_ptr<virtualizationservice::IVirtualMachineCallback> callback_;
  std::optional<uint64_t> death_cookie_;
};

class ListenerCalls {
 public:
  ListenerCalls(std::shared_ptr<CallQueue> queue, uint32_t port, std::shared_ptr<virtualizationservice::IVsockListener> listener)
      : queue_(std::move(queue)), port_(port), listener_(std::move(listener)) {}
  ~ListenerCalls();
  ListenerCalls(const ListenerCalls&) = delete;
  ListenerCalls& operator=(const ListenerCalls&) = delete;

  // A stream that the client cannot be given closes.
  void deliver(UniqueFd stream);

 private:
  const std::shared_ptr<CallQueue> queue_;
  const uint32_t port_;
  std::shared_ptr<virtualizationservice::IVsockListener> listener_;
};

}  // namespace adyton::service
