// The command that shows what virtual machines use, again and again.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "adyton/virtual_machine_manager.h"
#include "cli/options.h"

namespace adyton::cli {

int top(const TopOptions& options);

// ---- how it speaks; the rest is for tests ----------------------------------------------------------------------------------

using Look = std::vector<VirtualMachineManager::Activity>;

// `before` is the look that was taken `elapsed` ago. Shares and rates are of the time between the two; of a VM that is new, of
// its life.
std::string format_top(const Look& before, const Look& now, std::chrono::milliseconds elapsed);
// One object for each VM, with everything that it counts.
std::string format_top_json(const Look& now);

}  // namespace adyton::cli
