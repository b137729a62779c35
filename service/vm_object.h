// IVirtualMachine for one client.
#pragma once
#include <atomic>
#include <memory>

#include "adyton/virtualizationservice/IVirtualMachine.h"
#include "service/call_queue.h"
#include "service/event_loop.h"
#include "service/vm.h"

namespace adyton::service {

class VmObject final : public virtualizationservice::IVirtualMachineStub {
 public:
  enum class Role : uint8_t {
    kOwner,    // what createVm() returns: the VM ends with it unless it is detached
    kVisitor,  // what getVm() returns
  };

  VmObject(EventLoop& loop, CallQueues& queues, std::shared_ptr<Vm> vm, Role role)
      : loop_(loop), queues_(queues), vm_(std::move(vm)), role_(role) {}
  ~VmObject() override;

  rpc::Reply<int32_t> getCid() override;
  rpc::Reply<std::string> getName() override;
  rpc::Reply<virtualizationservice::VirtualMachineState> getState() override;
  rpc::Reply<virtualizationservice::IsolationLevel> getIsolation() override;
  rpc::Reply<virtualizationservice::VirtualMachineInfo> getInfo() override;
  rpc::Reply<> registerCallback(const std::shared_ptr<virtualizationservice::IVirtualMachineCallback>& callback) override;
  rpc::Reply<> unregisterCallback(const std::shared_ptr<virtualizationservice::IVirtualMachineCallback>& callback) override;
  rpc::Reply<> prepare() override;
  rpc::Reply<> start() override;
  rpc::Reply<> stop() override;
  rpc::Reply<> stopWithin(int32_t patience_ms) override;
  rpc::Reply<> kill() override;
  rpc::Reply<> suspend() override;
  rpc::Reply<> resume() override;
  rpc::Reply<std::vector<virtualizationservice::BootPhase>> getBootPhases() override;
  rpc::Reply<UniqueFd> trace(const UniqueFd& rings, int32_t ringCount, int32_t categories) override;
  rpc::Reply<UniqueFd> traceCalls(const UniqueFd& ring) override;
  rpc::Reply<UniqueFd> captureVsock(const UniqueFd& ring, const virtualizationservice::VsockCaptureFilter& filter) override;
  rpc::Reply<UniqueFd> connectVsock(int32_t port) override {
    return connectVsockOfType(port, virtualizationservice::VsockType::STREAM);
  }
  rpc::Reply<UniqueFd> connectVsockOfType(int32_t port, virtualizationservice::VsockType type) override;
  rpc::Reply<> listenVsockOfType(int32_t port, virtualizationservice::VsockType type,
                                 const std::shared_ptr<virtualizationservice::IVsockListener>& listener) override;
  rpc::Reply<> listenVsock(int32_t port, const std::shared_ptr<virtualizationservice::IVsockListener>& listener) override {
    return listenVsockOfType(port, virtualizationservice::VsockType::STREAM, listener);
  }
  rpc::Reply<UniqueFd> openConsole(bool with_history) override;
  rpc::Reply<UniqueFd> openLog(bool with_history) override;
  rpc::Reply<> signalPayload(int32_t signal) override;
  rpc::Reply<> setTerminalSize(int32_t rows, int32_t columns) override;
  rpc::Reply<> onTrimMemory(virtualizationservice::MemoryTrimLevel level) override;
  rpc::Reply<int64_t> getMemoryBalloon() override;
  rpc::Reply<> setMemoryBalloon(int64_t bytes) override;
  rpc::Reply<> setDetached(bool detached) override;
  rpc::Reply<virtualizationservice::VirtualMachineStatistics> getStatistics() override;
  rpc::Reply<> attachDebugger(const UniqueFd& listener, bool hold) override;
  rpc::Reply<UniqueFd> dumpMemory() override;
  rpc::Reply<virtualizationservice::TraceSources> getTraceSources() override;

  [[nodiscard]] CallMetrics& call_metrics() const { return *vm_->call_metrics(); }
  [[nodiscard]] CallTrace& call_trace() const { return *vm_->call_trace(); }

 private:
  EventLoop& loop_;
  CallQueues& queues_;
  std::shared_ptr<Vm> vm_;  // its methods are the loop's
  std::atomic<Role> role_;
};

}  // namespace adyton::service
