#include "service/report_store.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "service/record_store.h"

namespace adyton::service {

Outcome<std::vector<observe::KeptReport>> ReportStore::list(const std::optional<std::string>& vm) const {
  namespace fs = std::filesystem;
  if (vm) TRY(check_name(*vm));
  std::vector<observe::KeptReport> reports = observe::kept_crash_reports(folder());
  if (vm) std::erase_if(reports, [name = observe::printable(*vm)](const auto& report) { return report.vm != name; });
  const auto add_record = [&](const fs::path& record) {
    for (observe::KeptReport& report : observe::kept_crash_reports(folder_of_record(record.string()))) {
      report.vm = record.filename().string();  // which is more than its head can say
      reports.push_back(std::move(report));
    }
  };
  const fs::path records = fs::path(directory_) / "vm";
  if (vm) {
    add_record(records / *vm);
  } else {
    std::error_code error;
    for (fs::directory_iterator it(records, error), end; !error && it != end; it.increment(error)) add_record(it->path());
  }
  std::ranges::sort(reports, std::greater(), &observe::KeptReport::time);
  return reports;
}

Outcome<UniqueFd> ReportStore::open(const std::string& path) const {
  const auto reports = TRY(list(std::nullopt));
  if (std::ranges::find(reports, path, &observe::KeptReport::path) == reports.end())
    return fail(ErrorCode::kNotFound, "there is no such crash report (any more)");
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return std::unexpected(Failure(fail_errno("cannot open a crash report").error()));
  return file;
}

}  // namespace adyton::service
