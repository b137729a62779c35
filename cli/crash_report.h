// `adyton crash-report`: what was kept of guests that crashed; and the reports of VMs that no service sees.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "adyton/virtual_machine.h"
#include "base/result.h"
#include "cli/options.h"
#include "observe/crash_report.h"

namespace adyton::cli {

int show_crash_report(const CrashReportOptions& options);

// "2026-01-31 12:00:00 UTC".
std::string format_time(std::chrono::system_clock::time_point time);
// "kernel-panic", as a report has it.
std::string_view to_string(CrashKind kind);

// Keeps the report of a VM of ours where the service keeps those of VMs without record: $XDG_DATA_HOME/adyton/crash. Its path.
Result<std::string> keep_own_crash_report(const observe::CrashFacts& facts);

}  // namespace adyton::cli
