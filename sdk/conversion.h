// Between the library's types and those that travel to the service.
#pragma once
#include "adyton/capabilities.h"
#include "adyton/service_statistics.h"
#include "adyton/virtual_machine.h"
#include "adyton/virtualizationservice/Capabilities.h"
#include "adyton/virtualizationservice/ResourceUsage.h"
#include "adyton/virtualizationservice/ServiceStatistics.h"
#include "adyton/virtualizationservice/VirtualMachineConfig.h"
#include "adyton/virtualizationservice/VirtualMachineInfo.h"
#include "adyton/virtualizationservice/VirtualMachineLastRun.h"
#include "adyton/virtualizationservice/VirtualMachineRecordConfig.h"
#include "adyton/virtualizationservice/VirtualMachineStatistics.h"
#include "rpc/status.h"
#include "sdk/prepare.h"

namespace adyton::sdk {

namespace aidl = virtualizationservice;

// How a VM is to be run; what of it the configuration does not say.
struct RunParameters {
  std::string name;  // may be empty
  bool persistent = false;
  bool detached = false;
  std::array<uint8_t, 64> instance_id{};  // of one without record
  std::string vsock_socket;               // empty: where the service makes it
};

// Uses up the files of `vm`.
aidl::VirtualMachineConfig to_aidl(PreparedVm vm, const VirtualMachineConfig& config, const RunParameters& parameters);
// The same without a configuration: a VM from files that are open.
aidl::VirtualMachineRawConfig to_aidl(PreparedVm vm, const RunParameters& parameters);

// EX_ILLEGAL_ARGUMENT, unless it fits in a record (64 KiB).
aidl::VirtualMachineRecordConfig to_record(const VirtualMachineConfig& config);
Result<VirtualMachineConfig> from_record(const aidl::VirtualMachineRecordConfig& record);

Capabilities from_aidl(const aidl::Capabilities& capabilities);
ResourceUsage from_aidl(const aidl::ResourceUsage& usage);
ServiceStatistics from_aidl(const aidl::ServiceStatistics& statistics);
CrashReport from_aidl(const aidl::VirtualMachineCrashReport& report);
VirtualMachineInfo from_aidl(const aidl::VirtualMachineInfo& info);
LastRun from_aidl(aidl::VirtualMachineLastRun last);
VirtualMachineStatistics from_aidl(const aidl::VirtualMachineStatistics& statistics);

// A service that is gone, and a state that does not allow a call, are kUnavailable.
Error to_error(const rpc::Status& status);

// The value, or the error as ours.
template <typename T>
Result<T> checked(rpc::Reply<T> reply) {
  if (!reply) return std::unexpected(to_error(reply.error()));
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(*reply);
  }
}

}  // namespace adyton::sdk
