#include "cli/crash_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/looking.h"
#include "cli/message.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxReport = size_t{8} << 20;

// As the service finds it (service/record_store.h).
std::string data_directory() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/') return std::string(data) + "/adyton";
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.local/share/adyton";
}

// The part of a head's line behind its name.
std::string entry(const std::string& line, std::string_view name) {
  if (!line.starts_with(name)) return "";
  const size_t at = line.find_first_not_of(' ', name.size());
  return at == std::string::npos ? "" : line.substr(at);
}

void add_folder(const fs::path& folder, std::vector<KeptReport>& reports) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".txt" || !it->is_regular_file(error)) continue;
    KeptReport report{.path = it->path().string(), .vm = {}, .time = {}, .cause = {}};
    std::ifstream file(it->path());
    std::string line;
    for (int i = 0; i < 8 && std::getline(file, line); ++i) {
      if (report.vm.empty()) report.vm = entry(line, "VM:");
      if (report.time.empty()) report.time = entry(line, "Time:");
      if (report.cause.empty()) report.cause = entry(line, "Cause:");
    }
    reports.push_back(std::move(report));
  }
}

}  // namespace

std::vector<KeptReport> crash_reports(const std::optional<std::string>& name) {
  std::vector<KeptReport> reports;
  const std::string data = data_directory();
  if (data.empty()) return reports;
  add_folder(data + "/crash", reports);
  std::error_code error;
  for (fs::directory_iterator it(data + "/vm", error), end; !error && it != end; it.increment(error))
    add_folder(it->path() / "crash", reports);
  if (name) std::erase_if(reports, [&](const KeptReport& report) { return report.vm != *name; });
  // Their names are times.
  std::ranges::sort(reports, std::greater(), [](const KeptReport& report) { return fs::path(report.path).filename().string(); });
  return reports;
}

int show_crash_report(const CrashReportOptions& options) {
  const std::vector<KeptReport> reports = crash_reports(options.name);
  if (!options.name || options.list) {
    std::vector<std::vector<std::string>> rows = {{"VM", "TIME", "CAUSE", "FILE"}};
    for (const KeptReport& report : reports)
      rows.push_back({one_line(report.vm), one_line(report.time), one_line(report.cause), one_line(report.path)});
    fmt::print("{}", format_table(rows));
    return 0;
  }
  if (reports.empty()) {
    say(fmt::format("there is no crash report of a virtual machine '{}' (see 'adyton crash-report')", one_line(*options.name)));
    return guest::kExitError;
  }
  std::ifstream file(reports.front().path, std::ios::binary);
  std::string text(kMaxReport, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  // The service made it printable; this is for whatever else is in that folder.
  std::erase_if(text, [](char c) { return c != '\n' && (c < ' ' || c > '~'); });
  fmt::print("{}", text);
  return 0;
}

}  // namespace adyton::cli
