// Where the crash reports of the user's VMs are: a record's in the folder `crash` of the record, those of all others in one
// folder, $XDG_DATA_HOME/adyton/crash, where `adyton run --no-service` puts its own too.
//
// Threading: any. It reads the disk: not for the event loop.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "observe/crash_report.h"
#include "service/failure.h"

namespace adyton::service {

class ReportStore {
 public:
  // The service's data (RecordStore::directory()).
  explicit ReportStore(std::string directory) : directory_(std::move(directory)) {}

  [[nodiscard]] std::string folder() const { return directory_ + "/crash"; }  // of VMs without record
  static std::string folder_of_record(const std::string& directory) { return directory + "/crash"; }

  // Those of the VMs of that name, or of all; the newest first. kInvalidArgument for what cannot be a name.
  [[nodiscard]] Outcome<std::vector<observe::KeptReport>> list(const std::optional<std::string>& vm) const;
  // One that list() names, for reading. kNotFound for any other path.
  [[nodiscard]] Outcome<UniqueFd> open(const std::string& path) const;

 private:
  std::string directory_;
};

}  // namespace adyton::service
