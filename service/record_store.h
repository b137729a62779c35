// The records of persistent VMs: one folder each, $XDG_DATA_HOME/adyton/vm/NAME, with config.json, instance_id, and whatever
// files the client keeps there. Every change is whole or absent on disk, also when the machine loses power: new things are made,
// and old ones taken down, in a folder beside (vm.tmp), and renamed into or out of place.
//
// One service at a time owns the store (it holds the lock of its runtime folder). Threading: any; changes one at a time.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/failure.h"

namespace adyton::service {

using InstanceId = std::array<uint8_t, 64>;

// Random.
Result<InstanceId> new_instance_id();

inline constexpr size_t kMaxName = 255;                  // bytes: a file's name
inline constexpr size_t kMaxConfig = size_t{64} * 1024;  // bytes of RecordConfig::config

// kInvalidArgument unless it can name a record: 1 to 255 bytes of UTF-8, no '/', no ':', no control character, neither "." nor "..".
Result<void> check_name(std::string_view name);

// What a record keeps. All but `config` is the VM's identity.
struct RecordConfig {
  std::string config;
  int32_t isolation = 0;
  int32_t debug_level = 0;
  int64_t encrypted_storage_bytes = 0;
  bool output_captured = false;
  bool console_input_supported = false;
  std::string payload_binary_name;
  std::string payload_config_path;
  std::string package_name;
  std::string os;
  std::vector<std::string> extra_payloads;
  bool operator==(const RecordConfig&) const = default;

  // AVF's rule; kInvalidArgument names the first field that differs.
  [[nodiscard]] Result<void> check_compatible(const RecordConfig& other) const;
};

Result<std::string> to_json(const RecordConfig& config);
Result<RecordConfig> record_config_from_json(std::string_view text);  // kCorrupt; the file may be anybody's

struct Record {
  std::string name;
  InstanceId instance_id{};
  RecordConfig config;
  std::string directory;
  bool in_use = false;
};

// How the last run of a record's VM ended; the numbers are those of DeathReason in service/aidl.
struct LastRun {
  int32_t reason = 0;
  std::string message;
  int32_t exit_code = -1;  // the payload's; -1: it had none
  bool app = false;
  std::string crash_report;  // the name of a file in the record's folder `crash`; "" if there is none
  bool operator==(const LastRun&) const = default;
};

Result<std::string> to_json(const LastRun& run);
Result<LastRun> last_run_from_json(std::string_view text);  // kCorrupt

struct RecordFiles {
  UniqueFd config, instance_id;
  UniqueFd instance_image, encrypted_storage;  // may be none
};

class RecordStore : public std::enable_shared_from_this<RecordStore> {
 public:
  // Keeps a record from being changed or deleted while it lives.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept : store_(std::move(other.store_)), name_(std::move(other.name_)) {}
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { reset(); }
    void reset();
    // A new run begins, and a run has ended. For information only: not synced to the disk, and a failure (a full one) is
    // nobody's. Without a record they do nothing.
    void forget_last_run();
    void keep_last_run(const LastRun& run, std::string_view log);

   private:
    friend class RecordStore;
    Lease(std::shared_ptr<RecordStore> store, std::string name) : store_(std::move(store)), name_(std::move(name)) {}
    std::shared_ptr<RecordStore> store_;
    std::string name_;
  };

  // $XDG_DATA_HOME/adyton, or ~/.local/share/adyton.
  static Result<std::string> default_directory();
  // Makes what is missing, and removes what a service that was killed has left half done.
  static Result<std::shared_ptr<RecordStore>> open(const std::string& directory);

  [[nodiscard]] const std::string& directory() const { return directory_; }

  Outcome<Record> create(const std::string& name, const RecordConfig& config);
  Outcome<std::optional<Record>> get(const std::string& name);
  Outcome<Record> get_or_create(const std::string& name, const RecordConfig& config);
  Outcome<std::vector<std::string>> list();
  Outcome<RecordConfig> set_config(const std::string& name, const RecordConfig& config);  // the old one
  Outcome<> remove(const std::string& name);
  Outcome<RecordFiles> export_files(const std::string& name);
  // Copies; regular files only.
  Outcome<Record> import_files(const std::string& name, const RecordFiles& files);

  // How its last run ended, with what its payload wrote to the log; none: it has never run, runs, or the service was killed
  // meanwhile.
  Outcome<std::optional<std::pair<LastRun, UniqueFd>>> last_run(const std::string& name);

  // A record that a VM is made of. kInUse if there is one already.
  Outcome<std::pair<Lease, Record>> use(const std::string& name);

 private:
  explicit RecordStore(std::string directory) : directory_(std::move(directory)) {}

  Result<void> recover();
  Outcome<std::optional<Record>> load(const std::string& name);
  Outcome<Record> existing(const std::string& name);
  Outcome<Record> install(const std::string& name, const RecordConfig& config, const InstanceId& id, const RecordFiles& files);
  [[nodiscard]] std::string temporary();
  void give_back(const std::string& name);
  void forget_last_run(const std::string& name);
  Result<void> keep_last_run(const std::string& name, const LastRun& run, std::string_view log);
  // False: not all of it could be removed; it is tried again with the next change, and the next list().
  bool discard(const std::string& temporary);
  void discard_leftovers();

  const std::string directory_;
  std::mutex mutex_;
  std::set<std::string> in_use_;  // guarded by mutex_
  uint64_t next_temporary_ = 0;   // guarded by mutex_
  std::mutex leftovers_mutex_;
  std::vector<std::string> leftovers_;  // in vm.tmp: could not be removed when they should have been
  UniqueFd records_;                    // the folder vm
  UniqueFd temporaries_;                // the folder vm.tmp
};

}  // namespace adyton::service
