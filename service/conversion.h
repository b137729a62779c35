// Between what travels (service/aidl) and what the service works with.
#pragma once
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adyton/virtualizationservice/CallStatistics.h"
#include "adyton/virtualizationservice/HostPressure.h"
#include "adyton/virtualizationservice/VirtualMachineConfig.h"
#include "adyton/virtualizationservice/VirtualMachineDebugInfo.h"
#include "adyton/virtualizationservice/VirtualMachineInfo.h"
#include "adyton/virtualizationservice/VirtualMachineLastRun.h"
#include "adyton/virtualizationservice/VirtualMachineRecord.h"
#include "adyton/virtualizationservice/VirtualMachineRecordConfig.h"
#include "adyton/virtualizationservice/VirtualMachineStatistics.h"
#include "rpc/status.h"
#include "service/failure.h"
#include "service/metrics/call_metrics.h"
#include "service/metrics/host_pressure.h"
#include "service/record_store.h"
#include "service/vm_statistics.h"
#include "service/vm_types.h"

namespace adyton::service {

// An amount as AIDL has it, where every number is signed: what `To` cannot hold is the most that it can, never negative.
template <std::signed_integral To, std::unsigned_integral From>
constexpr To saturated(From amount) {
  return std::in_range<To>(amount) ? static_cast<To>(amount) : std::numeric_limits<To>::max();
}

// The exception that a caller gets.
[[nodiscard]] rpc::Status status_of(const Failure& failure);
inline std::unexpected<rpc::Status> refuse(const Failure& failure) { return std::unexpected(status_of(failure)); }

// Descriptors are duplicated, so that the parcel stays whole. All that can be said of a configuration alone is checked by
// VmTable.
Outcome<VmSpec> spec_from(const virtualizationservice::VirtualMachineConfig& config);

virtualizationservice::VirtualMachineCrashReport to_aidl(const observe::KeptReport& report);
virtualizationservice::VirtualMachineInfo to_aidl(const VmInfo& info);
virtualizationservice::VirtualMachineDebugInfo to_debug_info(const VmInfo& info);
virtualizationservice::VirtualMachineStatistics to_aidl(const VmStatistics& statistics);
virtualizationservice::HostPressure to_aidl(const Pressure& pressure);
// `vm` is empty for calls to the service itself.
virtualizationservice::CallStatistics to_aidl(const std::string& vm, const MethodCalls& calls);
virtualizationservice::VirtualMachineRecord to_aidl(const Record& record);
virtualizationservice::VirtualMachineLastRun to_aidl(LastRun run, UniqueFd log);
virtualizationservice::VirtualMachineRecordConfig to_aidl(const RecordConfig& config);
RecordConfig from_aidl(const virtualizationservice::VirtualMachineRecordConfig& config);

// kInvalidArgument: none was given.
Result<UniqueFd> duplicate(const UniqueFd& fd, const char* what);

}  // namespace adyton::service
