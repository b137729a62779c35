// IVirtualizationService.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "adyton/virtualizationservice/IVirtualizationService.h"
#include "base/log/rate_limit.h"
#include "service/budget.h"
#include "service/call_queue.h"
#include "service/event_loop.h"
#include "service/host.h"
#include "service/metrics/call_metrics.h"
#include "service/record_store.h"
#include "service/vm_table.h"

namespace adyton::service {

// What the objects of a service stand on; lives longer than any of them.
struct Foundation {
  EventLoop& loop;
  CallQueues& queues;
  std::shared_ptr<CallQueue> janitor;
  VmTable& vms;  // on the loop
  std::shared_ptr<Budget> budget;
  std::shared_ptr<RecordStore> records;
  Host& host;
  std::function<size_t()> client_count;
  std::shared_ptr<const CallMetrics> calls;  // to the service itself
  std::string version;
};

class ServiceObject final : public virtualizationservice::IVirtualizationServiceStub {
 public:
  explicit ServiceObject(Foundation& foundation) : f_(foundation) {}

  rpc::Reply<std::shared_ptr<virtualizationservice::IVirtualMachine>> createVm(
      const virtualizationservice::VirtualMachineConfig& config, const std::optional<UniqueFd>& console_out,
      const std::optional<UniqueFd>& console_in, const std::optional<UniqueFd>& os_log) override;
  rpc::Reply<std::shared_ptr<virtualizationservice::IVirtualMachine>> getVm(const std::string& name) override;
  rpc::Reply<std::vector<virtualizationservice::VirtualMachineDebugInfo>> debugListVms() override;
  rpc::Reply<virtualizationservice::Capabilities> getCapabilities() override;
  rpc::Reply<virtualizationservice::ResourceUsage> getResourceUsage() override;
  rpc::Reply<std::array<uint8_t, 64>> allocateInstanceId() override;
  rpc::Reply<virtualizationservice::VirtualMachineRecord> createRecord(
      const std::string& name, const virtualizationservice::VirtualMachineRecordConfig& config) override;
  rpc::Reply<std::optional<virtualizationservice::VirtualMachineRecord>> getRecord(const std::string& name) override;
  rpc::Reply<virtualizationservice::VirtualMachineRecord> getOrCreateRecord(
      const std::string& name, const virtualizationservice::VirtualMachineRecordConfig& config) override;
  rpc::Reply<std::vector<std::string>> listRecords() override;
  rpc::Reply<virtualizationservice::VirtualMachineRecordConfig> setRecordConfig(
      const std::string& name, const virtualizationservice::VirtualMachineRecordConfig& config) override;
  rpc::Reply<> deleteRecord(const std::string& name) override;
  rpc::Reply<virtualizationservice::VirtualMachineDescriptor> exportRecord(const std::string& name) override;
  rpc::Reply<virtualizationservice::VirtualMachineRecord> importRecord(
      const std::string& name, const virtualizationservice::VirtualMachineDescriptor& descriptor) override;
  rpc::Reply<std::optional<virtualizationservice::VirtualMachineLastRun>> getLastRun(const std::string& name) override;
  rpc::Reply<virtualizationservice::ServiceStatistics> getStatistics() override;
  rpc::Reply<std::vector<virtualizationservice::VirtualMachineCrashReport>> listCrashReports(const std::string& name) override;
  rpc::Reply<UniqueFd> openCrashReport(const std::string& path) override;

 private:
  log::RateLimit refused_limit_;
  Foundation& f_;
};

}  // namespace adyton::service
