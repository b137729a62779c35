// Commands that show virtual machines and what the machine can do.
#pragma once
#include <string>
#include <vector>

#include "adyton/capabilities.h"
#include "adyton/virtual_machine.h"
#include "cli/options.h"

namespace adyton::cli {

int list(const ListOptions& options);
int info(const InfoOptions& options);
int balloon(const BalloonOptions& options);

// ---- how they speak; the rest is for tests --------------------------------------------------------------------------------

// Columns as wide as their widest cell, two spaces between; the last is not padded.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// "1d 2h", "3m 4s", "0.5s".
std::string format_duration(std::chrono::milliseconds time);

// "started", "ready (suspended)"
std::string state_of(const VirtualMachineInfo& info);

// Running VMs, then the names of `records` that do not run.
struct StoppedVm {
  std::string name;
  std::optional<VirtualMachineConfig> config;  // none: it cannot be read
};
std::string format_list(const std::vector<VirtualMachineInfo>& running, const std::vector<StoppedVm>& stopped, bool json);
std::string format_info(const VirtualMachineInfo& info, bool json);
std::string format_machine(const Capabilities& capabilities, const ResourceUsage& usage, bool json);

}  // namespace adyton::cli
