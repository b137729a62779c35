// A virtualization service without virtual machines: it keeps records in memory, and its VMs do what the test says.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adyton/virtualizationservice/IVirtualMachine.h"
#include "adyton/virtualizationservice/IVirtualMachineCallback.h"
#include "adyton/virtualizationservice/IVirtualizationService.h"
#include "adyton/virtualizationservice/IVsockListener.h"
#include "base/unique_fd.h"
#include "rpc/server.h"

namespace adyton::sdk::testing {

namespace aidl = virtualizationservice;

// Threading: any thread.
class FakeVm final : public aidl::IVirtualMachineStub {
 public:
  FakeVm(int32_t cid, std::string name, const aidl::VirtualMachineConfig& config);

  // --- For the test.
  void say_ready();
  void say_error(const std::string& message);
  void finish_payload(int exit_code);
  void die(virtualizationcommon::DeathReason reason, const std::string& message);
  // What the guest does: a connection to `port` of the host.
  UniqueFd connect_from_guest(uint32_t port);
  // The guest's end of the last connectVsock().
  UniqueFd take_guest_end();
  // What the last captureVsock() got, and our end of what it gave.
  struct Capture {
    UniqueFd ring;
    UniqueFd wake;
    aidl::VsockCaptureFilter filter;
  };
  std::optional<Capture> take_capture();
  // Our ends of what openConsole() and openLog() gave.
  UniqueFd take_console();
  [[nodiscard]] bool alive() const;

  // What it was made from.
  aidl::VirtualMachinePayloadConfig payload;  // empty for a raw VM
  bool app = false;
  std::atomic<bool> suspended = false;
  bool detached = false;
  bool persistent = false;
  bool has_kernel = false;
  int32_t cpus = 0;
  int64_t memory = 0;
  int32_t boot_timeout = 0;
  std::string params;
  std::vector<std::string> disks;
  std::array<uint8_t, 64> instance_id{};
  std::string start_error;      // start() fails with it
  std::atomic<bool> prepared = false;
  std::vector<bool> debuggers;  // of attachDebugger: hold
  std::vector<int32_t> signals;
  std::vector<int32_t> patience;  // of stopWithin()
  std::vector<aidl::VsockType> types;  // of connections for which one was named
  std::vector<std::pair<int32_t, int32_t>> sizes;

  // --- IVirtualMachine
  rpc::Reply<int32_t> getCid() override { return cid_; }
  rpc::Reply<std::string> getName() override { return name_; }
  rpc::Reply<aidl::VirtualMachineState> getState() override;
  rpc::Reply<aidl::IsolationLevel> getIsolation() override { return aidl::IsolationLevel::NONE; }
  rpc::Reply<aidl::VirtualMachineInfo> getInfo() override;
  rpc::Reply<> registerCallback(const std::shared_ptr<aidl::IVirtualMachineCallback>& callback) override;
  size_t callbacks() const {
    const std::lock_guard lock(mutex_);
    return callbacks_.size();
  }
  rpc::Reply<> unregisterCallback(const std::shared_ptr<aidl::IVirtualMachineCallback>& callback) override;
  rpc::Reply<> prepare() override {
    prepared = true;
    return {};
  }
  rpc::Reply<> start() override;
  rpc::Reply<> stop() override;
  rpc::Reply<> stopWithin(int32_t patience_ms) override {
    patience.push_back(patience_ms);
    return stop();
  }
  rpc::Reply<> kill() override;
  rpc::Reply<> suspend() override {
    suspended = true;
    return {};
  }
  rpc::Reply<> resume() override {
    suspended = false;
    return {};
  }
  rpc::Reply<UniqueFd> connectVsock(int32_t port) override;
  rpc::Reply<UniqueFd> trace(const UniqueFd& rings, int32_t ringCount, int32_t categories) override;
  rpc::Reply<UniqueFd> traceCalls(const UniqueFd& ring) override { return UniqueFd(::dup(ring.get())); }
  rpc::Reply<std::vector<aidl::BootPhase>> getBootPhases() override;
  rpc::Reply<UniqueFd> captureVsock(const UniqueFd& ring, const aidl::VsockCaptureFilter& filter) override;
  rpc::Reply<> listenVsock(int32_t port, const std::shared_ptr<aidl::IVsockListener>& listener) override;
  rpc::Reply<UniqueFd> connectVsockOfType(int32_t port, aidl::VsockType type) override {
    types.push_back(type);
    return connectVsock(port);
  }
  rpc::Reply<> listenVsockOfType(int32_t port, aidl::VsockType type,
                                 const std::shared_ptr<aidl::IVsockListener>& listener) override {
    types.push_back(type);
    return listenVsock(port, listener);
  }
  rpc::Reply<UniqueFd> openConsole(bool with_history) override;
  rpc::Reply<UniqueFd> openLog(bool with_history) override { return openConsole(with_history); }
  rpc::Reply<> signalPayload(int32_t signal) override;
  rpc::Reply<> setTerminalSize(int32_t rows, int32_t columns) override;
  rpc::Reply<> onTrimMemory(aidl::MemoryTrimLevel) override { return {}; }
  rpc::Reply<int64_t> getMemoryBalloon() override { return int64_t{1} << 20; }
  rpc::Reply<> setMemoryBalloon(int64_t) override { return {}; }
  rpc::Reply<> setDetached(bool value) override;
  rpc::Reply<aidl::VirtualMachineStatistics> getStatistics() override;
  rpc::Reply<> attachDebugger(const UniqueFd& listener, bool hold) override;
  rpc::Reply<UniqueFd> dumpMemory() override { return openConsole(false); }
  rpc::Reply<aidl::TraceSources> getTraceSources() override;

 private:
  using Callback = std::function<void(aidl::IVirtualMachineCallback&)>;
  void tell(aidl::VirtualMachineState state, const Callback& what);

  const int32_t cid_;
  const std::string name_;
  mutable std::mutex mutex_;
  aidl::VirtualMachineState state_ = aidl::VirtualMachineState::NOT_STARTED;
  std::vector<std::shared_ptr<aidl::IVirtualMachineCallback>> callbacks_;
  std::map<uint32_t, std::shared_ptr<aidl::IVsockListener>> listeners_;
  std::vector<UniqueFd> guest_ends_;
  std::vector<UniqueFd> consoles_;
  std::vector<Capture> captures_;
  int32_t exit_code_ = -1;
  virtualizationcommon::DeathReason reason_ = virtualizationcommon::DeathReason::UNKNOWN;
  std::string message_;
};

class FakeService final : public aidl::IVirtualizationServiceStub {
 public:
  // The VM that was made last; null if there is none.
  std::shared_ptr<FakeVm> last_vm();
  void fail_next_start(const std::string& message);
  aidl::Capabilities capabilities;

  rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> createVm(const aidl::VirtualMachineConfig& config,
                                                              const std::optional<UniqueFd>& console_out,
                                                              const std::optional<UniqueFd>& console_in,
                                                              const std::optional<UniqueFd>& log) override;
  rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> getVm(const std::string& name) override;
  rpc::Reply<std::vector<aidl::VirtualMachineDebugInfo>> debugListVms() override;
  rpc::Reply<aidl::Capabilities> getCapabilities() override { return capabilities; }
  rpc::Reply<aidl::ResourceUsage> getResourceUsage() override;
  rpc::Reply<aidl::ServiceStatistics> getStatistics() override;
  rpc::Reply<std::array<uint8_t, 64>> allocateInstanceId() override { return std::array<uint8_t, 64>{}; }
  rpc::Reply<aidl::VirtualMachineRecord> createRecord(const std::string& name,
                                                      const aidl::VirtualMachineRecordConfig& config) override;
  rpc::Reply<std::optional<aidl::VirtualMachineRecord>> getRecord(const std::string& name) override;
  rpc::Reply<aidl::VirtualMachineRecord> getOrCreateRecord(const std::string& name,
                                                           const aidl::VirtualMachineRecordConfig& config) override;
  rpc::Reply<std::vector<std::string>> listRecords() override;
  rpc::Reply<aidl::VirtualMachineRecordConfig> setRecordConfig(const std::string& name,
                                                               const aidl::VirtualMachineRecordConfig& config) override;
  rpc::Reply<> deleteRecord(const std::string& name) override;
  rpc::Reply<aidl::VirtualMachineDescriptor> exportRecord(const std::string& name) override;
  rpc::Reply<aidl::VirtualMachineRecord> importRecord(const std::string& name,
                                                      const aidl::VirtualMachineDescriptor& descriptor) override;
  rpc::Reply<std::optional<aidl::VirtualMachineLastRun>> getLastRun(const std::string&) override { return std::nullopt; }
  rpc::Reply<std::vector<aidl::VirtualMachineCrashReport>> listCrashReports(const std::string&) override { return {}; }
  rpc::Reply<UniqueFd> openCrashReport(const std::string&) override {
    return std::unexpected(rpc::Status::from_service_specific(aidl::IVirtualizationService::ERROR_NOT_FOUND, "none"));
  }

 private:
  std::shared_ptr<FakeVm> live(const std::string& name);
  aidl::VirtualMachineRecord record(const std::string& name);

  std::mutex mutex_;
  int32_t next_cid_ = 2048;
  std::vector<std::shared_ptr<FakeVm>> vms_;
  std::map<std::string, aidl::VirtualMachineRecordConfig> records_;
  std::string next_start_error_;
};

// The service on a socket in a folder of its own.
class ServedFake {
 public:
  ServedFake();
  ~ServedFake();
  [[nodiscard]] FakeService& service() { return *service_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  // The service ends, as if it had been killed.
  void shut_down() { server_.shutdown(); }

 private:
  std::string directory_;
  std::shared_ptr<FakeService> service_ = std::make_shared<FakeService>();
  rpc::Server server_;
};

}  // namespace adyton::sdk::testing
