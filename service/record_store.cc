#include "service/record_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "service/durable_file.h"
#include "service/runtime_directory.h"

namespace adyton::service {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";
constexpr const char* kInstanceIdFile = "instance_id";
constexpr const char* kInstanceImage = "instance.img";
constexpr const char* kStorageImage = "storage.img";
constexpr const char* kLastRunFile = "last_run.json";
constexpr const char* kLastLogFile = "last_run.log";
constexpr size_t kMaxLastRunFile = 16384;
constexpr size_t kMaxConfigFile = 8 * kMaxConfig;  // JSON escapes

std::unexpected<Failure> exists(const std::string& name) {
  return problem(Problem::kExists, fmt::format("there is a VM named '{}' already: start or delete that one, or choose another name", name));
}
std::unexpected<Failure> in_use(const std::string& name) {
  return problem(Problem::kInUse, fmt::format("the VM '{}' is running; stop it first", name));
}
std::unexpected<Failure> missing(const std::string& name) {
  return std::unexpected(Failure({ErrorCode::kNotFound, fmt::format("there is no VM named '{}'", name)}));
}

Result<UniqueFd> open_folder(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return fail_errno("cannot open the folder " + path);
  return fd;
}

Result<InstanceId> read_instance_id(int fd, const std::string& name) {
  const std::string text = TRY(read_small_file(fd, sizeof(InstanceId), name));
  InstanceId id{};
  if (text.size() != id.size())
    return fail(ErrorCode::kCorrupt, fmt::format("the instance id of '{}' is not 64 bytes long", name));
  std::copy(text.begin(), text.end(), id.begin());
  return id;
}

}  // namespace

Result<std::string> RecordStore::default_directory() {
  std::string base;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/') {
    base = data;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    base = fmt::format("{}/.local/share", home);
  } else {
    return fail(ErrorCode::kNotFound, "neither XDG_DATA_HOME nor HOME says where records of VMs belong");
  }
  return base + "/adyton";
}

Result<std::shared_ptr<RecordStore>> RecordStore::open(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail_errno("cannot make the folder " + directory, error.value());
  for (const char* name : {"/vm", "/vm.tmp"}) TRY(make_private_directory(directory + name));
  std::shared_ptr<RecordStore> store(new RecordStore(directory));
  store->records_ = TRY(open_folder(directory + "/vm"));
  store->temporaries_ = TRY(open_folder(directory + "/vm.tmp"));
  TRY(store->recover());
  return store;
}

Result<void> RecordStore::recover() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_ + "/vm.tmp", error)) {
    std::error_code ignored;  // what cannot be removed now does no harm
    fs::remove_all(entry.path(), ignored);
  }
  if (error) return fail_errno("cannot read the folder " + directory_ + "/vm.tmp", error.value());
  return {};
}

// To find out what is in a folder takes a descriptor, which there may be none of when something has just failed. What we put
// into a record is known without.
bool RecordStore::discard(const std::string& temporary) {
  for (const char* file : {kConfigFile, kInstanceIdFile, kInstanceImage, kStorageImage, kLastRunFile, kLastLogFile})
    ::unlinkat(temporaries_.get(), fmt::format("{}/{}", temporary, file).c_str(), 0);
  if (::unlinkat(temporaries_.get(), temporary.c_str(), AT_REMOVEDIR) == 0) return true;
  {
    std::lock_guard lock(leftovers_mutex_);
    leftovers_.push_back(temporary);
  }
  discard_leftovers();
  std::lock_guard lock(leftovers_mutex_);
  return std::ranges::find(leftovers_, temporary) == leftovers_.end();
}

void RecordStore::discard_leftovers() {
  std::lock_guard lock(leftovers_mutex_);
  std::erase_if(leftovers_, [&](const std::string& name) {
    std::error_code error;
    fs::remove_all(fmt::format("{}/vm.tmp/{}", directory_, name), error);
    return !error;
  });
}

std::string RecordStore::temporary() { return fmt::format("{}-{}", ::getpid(), next_temporary_++); }

// ---- reading -------------------------------------------------------------------------------------------------------------

Outcome<std::optional<Record>> RecordStore::load(const std::string& name) {
  TRY(check_name(name));
  const UniqueFd folder(::openat(records_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!folder.valid()) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno(fmt::format("cannot open the record of '{}'", name));
  }
  const UniqueFd config = TRY(open_at(folder.get(), kConfigFile, O_RDONLY));
  const UniqueFd id = TRY(open_at(folder.get(), kInstanceIdFile, O_RDONLY));
  Record record;
  record.name = name;
  const std::string json = TRY(read_small_file(config.get(), kMaxConfigFile, name));
  record.config = TRY(record_config_from_json(json));
  record.instance_id = TRY(read_instance_id(id.get(), name));
  record.directory = fmt::format("{}/vm/{}", directory_, name);
  record.in_use = in_use_.contains(name);
  return record;
}

Outcome<Record> RecordStore::existing(const std::string& name) {
  auto record = load(name);
  if (!record) return std::unexpected(std::move(record).error());
  if (!*record) return missing(name);
  return std::move(**record);
}

Outcome<std::optional<Record>> RecordStore::get(const std::string& name) {
  std::lock_guard lock(mutex_);
  return load(name);
}

Outcome<std::vector<std::string>> RecordStore::list() {
  discard_leftovers();
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_ + "/vm", error)) {
    std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (check_name(name) && entry.is_directory(ignored)) names.push_back(std::move(name));
  }
  if (error) return fail_errno("cannot read the folder " + directory_ + "/vm", error.value());
  std::sort(names.begin(), names.end());
  return names;
}

// ---- changing ------------------------------------------------------------------------------------------------------------

Outcome<Record> RecordStore::create(const std::string& name, const RecordConfig& config) {
  const InstanceId id = TRY(new_instance_id());
  std::lock_guard lock(mutex_);
  return install(name, config, id, {});
}

Outcome<Record> RecordStore::get_or_create(const std::string& name, const RecordConfig& config) {
  const InstanceId id = TRY(new_instance_id());
  std::lock_guard lock(mutex_);
  auto record = load(name);
  if (!record) return std::unexpected(std::move(record).error());
  if (*record) return std::move(**record);
  return install(name, config, id, {});
}

Outcome<Record> RecordStore::install(const std::string& name, const RecordConfig& config, const InstanceId& id,
                                     const RecordFiles& files) {
  TRY(check_name(name));
  const std::string json = TRY(to_json(config));
  struct stat status{};
  if (::fstatat(records_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return exists(name);

  discard_leftovers();
  const std::string fresh = temporary();
  if (::mkdirat(temporaries_.get(), fresh.c_str(), 0700) != 0)
    return fail_errno(fmt::format("cannot make a record for '{}'", name));
  const auto fill = [&]() -> Result<void> {
    const UniqueFd folder = TRY(open_folder(fmt::format("{}/vm.tmp/{}", directory_, fresh)));
    TRY(write_durable_file(folder.get(), kConfigFile, json));
    TRY(write_durable_file(folder.get(), kInstanceIdFile, {reinterpret_cast<const char*>(id.data()), id.size()}));
    if (files.instance_image.valid()) TRY(copy_durable_file(folder.get(), kInstanceImage, files.instance_image.get()));
    if (files.encrypted_storage.valid()) TRY(copy_durable_file(folder.get(), kStorageImage, files.encrypted_storage.get()));
    TRY(sync_file(folder.get()));
    if (::renameat2(temporaries_.get(), fresh.c_str(), records_.get(), name.c_str(), RENAME_NOREPLACE) != 0)
      return fail_errno(fmt::format("cannot make a record for '{}'", name));
    return sync_file(records_.get());
  };
  if (auto filled = fill(); !filled) {
    discard(fresh);
    return std::unexpected(std::move(filled).error());
  }
  // Not read again: it is there, whatever fails now.
  return Record{.name = name, .instance_id = id, .config = config, .directory = fmt::format("{}/vm/{}", directory_, name)};
}

Outcome<RecordConfig> RecordStore::set_config(const std::string& name, const RecordConfig& config) {
  std::lock_guard lock(mutex_);
  auto record = existing(name);
  if (!record) return std::unexpected(std::move(record).error());
  if (record->in_use) return in_use(name);
  TRY(record->config.check_compatible(config));
  const std::string json = TRY(to_json(config));
  const std::string fresh = temporary();
  const auto replace = [&]() -> Result<void> {
    const UniqueFd folder = TRY(open_folder(record->directory));
    TRY(write_durable_file(temporaries_.get(), fresh.c_str(), json));
    if (::renameat(temporaries_.get(), fresh.c_str(), folder.get(), kConfigFile) != 0)
      return fail_errno(fmt::format("cannot change the record of '{}'", name));
    return sync_file(folder.get());
  };
  if (auto done = replace(); !done) {
    ::unlinkat(temporaries_.get(), fresh.c_str(), 0);
    return std::unexpected(std::move(done).error());
  }
  return std::move(record->config);
}

Outcome<> RecordStore::remove(const std::string& name) {
  TRY(check_name(name));
  std::string gone;
  {
    std::lock_guard lock(mutex_);
    if (in_use_.contains(name)) return in_use(name);
    gone = temporary();
    if (::renameat(records_.get(), name.c_str(), temporaries_.get(), gone.c_str()) != 0) {
      if (errno == ENOENT) return missing(name);
      return fail_errno(fmt::format("cannot delete the record of '{}'", name));
    }
    TRY(sync_file(records_.get()));
  }
  if (discard(gone)) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("the record of '{}' is gone, but not yet all files of it: they go later", name));
}

// ---- descriptors ---------------------------------------------------------------------------------------------------------

Outcome<RecordFiles> RecordStore::export_files(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto record = existing(name);
  if (!record) return std::unexpected(std::move(record).error());
  if (record->in_use) return in_use(name);
  const UniqueFd folder = TRY(open_folder(record->directory));
  RecordFiles files;
  files.config = TRY(open_at(folder.get(), kConfigFile, O_RDONLY));
  files.instance_id = TRY(open_at(folder.get(), kInstanceIdFile, O_RDONLY));
  for (auto& [file, fd] : {std::pair<const char*, UniqueFd&>(kInstanceImage, files.instance_image),
                           std::pair<const char*, UniqueFd&>(kStorageImage, files.encrypted_storage)}) {
    auto opened = open_at(folder.get(), file, O_RDONLY);
    if (opened) {
      fd = std::move(*opened);
    } else if (opened.error().code != ErrorCode::kNotFound) {
      return std::unexpected(std::move(opened).error());
    }
  }
  return files;
}

Outcome<Record> RecordStore::import_files(const std::string& name, const RecordFiles& files) {
  TRY(check_name(name));
  for (const UniqueFd* file : {&files.config, &files.instance_id, &files.instance_image, &files.encrypted_storage}) {
    if (file->valid()) TRY(check_regular_file(file->get()));
  }
  if (!files.config.valid() || !files.instance_id.valid())
    return fail(ErrorCode::kInvalidArgument, "the descriptor lacks a configuration or an instance id");
  const std::string json = TRY(read_small_file(files.config.get(), kMaxConfigFile, name));
  const auto config = TRY(record_config_from_json(json));
  const auto id = TRY(read_instance_id(files.instance_id.get(), name));
  std::lock_guard lock(mutex_);
  return install(name, config, id, files);
}

// ---- the last run --------------------------------------------------------------------------------------------------------

void RecordStore::forget_last_run(const std::string& name) {
  std::lock_guard lock(mutex_);
  for (const char* file : {kLastRunFile, kLastLogFile}) ::unlinkat(records_.get(), fmt::format("{}/{}", name, file).c_str(), 0);
}

Result<void> RecordStore::keep_last_run(const std::string& name, const LastRun& run, std::string_view log) {
  const std::string json = TRY(to_json(run));
  std::lock_guard lock(mutex_);
  // The log first: without the other file there is no last run.
  for (const auto& [file, content] : {std::pair(kLastLogFile, log), std::pair(kLastRunFile, std::string_view(json))}) {
    const std::string fresh = temporary();
    TRY(write_file(temporaries_.get(), fresh.c_str(), content));
    if (::renameat(temporaries_.get(), fresh.c_str(), records_.get(), fmt::format("{}/{}", name, file).c_str()) != 0) {
      const int error = errno;
      ::unlinkat(temporaries_.get(), fresh.c_str(), 0);
      return fail_errno(fmt::format("cannot keep the last run of '{}'", name), error);
    }
  }
  return {};
}

Outcome<std::optional<std::pair<LastRun, UniqueFd>>> RecordStore::last_run(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto record = existing(name);
  if (!record) return std::unexpected(std::move(record).error());
  const UniqueFd folder = TRY(open_folder(record->directory));
  const auto file = open_at(folder.get(), kLastRunFile, O_RDONLY);
  if (!file) {
    if (file.error().code == ErrorCode::kNotFound) return std::nullopt;
    return std::unexpected(Failure(file.error()));
  }
  const std::string json = TRY(read_small_file(file->get(), kMaxLastRunFile, name));
  LastRun run = TRY(last_run_from_json(json));
  UniqueFd log = TRY(open_at(folder.get(), kLastLogFile, O_RDONLY));
  return std::pair(std::move(run), std::move(log));
}

// ---- use -----------------------------------------------------------------------------------------------------------------

Outcome<std::pair<RecordStore::Lease, Record>> RecordStore::use(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto record = existing(name);
  if (!record) return std::unexpected(std::move(record).error());
  if (record->in_use) return in_use(name);
  in_use_.insert(name);
  record->in_use = true;
  return std::pair(Lease(shared_from_this(), name), std::move(*record));
}

void RecordStore::give_back(const std::string& name) {
  std::lock_guard lock(mutex_);
  in_use_.erase(name);
}

void RecordStore::Lease::forget_last_run() {
  if (store_) store_->forget_last_run(name_);
}

void RecordStore::Lease::keep_last_run(const LastRun& run, std::string_view log) {
  if (store_) (void)store_->keep_last_run(name_, run, log);
}

RecordStore::Lease& RecordStore::Lease::operator=(Lease&& other) noexcept {
  reset();
  store_ = std::move(other.store_);
  name_ = std::move(other.name_);
  return *this;
}

void RecordStore::Lease::reset() {
  if (const auto store = std::exchange(store_, nullptr)) store->give_back(name_);
}

}  // namespace adyton::service
