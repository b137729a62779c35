#include "cli/crash_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cli/looking.h"
#include "cli/message.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {
namespace {

constexpr size_t kMaxReport = size_t{8} << 20;

// As the service finds it (service/record_store.h).
Result<std::string> data_directory() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/') return std::string(data) + "/adyton";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/')
    return fail(ErrorCode::kNotFound, "neither XDG_DATA_HOME nor HOME says where crash reports are kept");
  return std::string(home) + "/.local/share/adyton";
}

Result<std::string> read_report(int fd) {
  std::string text(kMaxReport, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read the crash report");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace

std::string format_time(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string_view to_string(CrashKind kind) { return observe::to_string(static_cast<observe::CrashKind>(kind)); }

int show_crash_report(const CrashReportOptions& options) {
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  const auto reports = (*manager)->listCrashReports(options.name.value_or(""));
  if (!reports) return failed(reports.error());
  if (!options.name || options.list) {
    std::vector<std::vector<std::string>> rows = {{"VM", "TIME", "KIND", "CAUSE", "FILE"}};
    for (const CrashReport& report : *reports) {
      rows.push_back({one_line(report.vm), format_time(report.time), std::string(to_string(report.kind)), one_line(report.cause),
                      one_line(report.path)});
    }
    return print(format_table(rows));
  }
  if (reports->empty()) {
    say(fmt::format("there is no crash report of a virtual machine '{}' (see 'adyton crash-report')", one_line(*options.name)));
    return guest::kExitError;
  }
  const auto file = (*manager)->openCrashReport(reports->front());
  if (!file) return failed(file.error());
  auto text = read_report(file->get());
  if (!text) return failed(text.error());
  // The service made it printable; this is for whatever else is in that folder.
  std::erase_if(*text, [](char c) { return c != '\n' && (c < ' ' || c > '~'); });
  return print(*text);
}

Result<std::string> keep_own_crash_report(const observe::CrashFacts& facts) {
  const std::string data = TRY(data_directory());
  std::error_code error;
  std::filesystem::create_directories(data, error);
  if (error) return fail(ErrorCode::kUnavailable, fmt::format("cannot make the folder '{}': {}", data, error.message()));
  return observe::keep_crash_report(data + "/crash", observe::kReportsOfTemporaryVms, facts.time, observe::crash_report(facts));
}

}  // namespace adyton::cli
