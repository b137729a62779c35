// What `adyton top` shows: tables of what happened between two looks at the service and its virtual machines.
#pragma once
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "adyton/virtual_machine_manager.h"
#include "cli/options.h"

namespace adyton::cli {

struct Look {
  std::vector<VirtualMachineManager::Activity> vms;
  ServiceStatistics service;
};

struct TopScreen {
  TopView view = TopView::kVms;
  bool all = false;      // every view, one below the other, and what only fits there; `view` does not count
  size_t columns = 100;  // that it may fill; at least 100
};

// `before` is the look that was taken `elapsed` ago. Shares and rates are of the time between the two; of a VM that is new, of
// its life. What a VM does not tell is "-".
std::string format_top(const Look& before, const Look& now, std::chrono::milliseconds elapsed, const TopScreen& screen = {});

// Everything that is counted, as the metrics have it.
std::string format_top_json(const Look& now);

}  // namespace adyton::cli
