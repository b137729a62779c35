// `adyton crash-report`: what was kept of guests that crashed.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"

namespace adyton::cli {

struct KeptReport {
  std::string path;
  std::string vm, time, cause;  // as its head says
};

// Those of the VM `name`, or all of them; the newest first. From $XDG_DATA_HOME/adyton, where the service keeps them.
std::vector<KeptReport> crash_reports(const std::optional<std::string>& name);

int show_crash_report(const CrashReportOptions& options);

}  // namespace adyton::cli
