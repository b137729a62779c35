#include "guest/image/cpio_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

namespace adyton::image {
namespace {

la_ssize_t append(archive*, void* context, const void* data, size_t size) {
  auto& bytes = *static_cast<Bytes*>(context);
  const auto* begin = static_cast<const uint8_t*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
  return static_cast<la_ssize_t>(size);
}

struct EntryDeleter {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, EntryDeleter>;

Entry make_entry(const std::string& path, uint32_t mode) {
  Entry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), path.substr(path.find_first_not_of('/')).c_str());
  archive_entry_set_mode(entry.get(), mode);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_nlink(entry.get(), S_ISDIR(mode) ? 2 : 1);
  archive_entry_set_size(entry.get(), 0);
  return entry;
}

}  // namespace

struct CpioWriter::State {
  archive* writer = archive_write_new();
  Bytes bytes;
  std::set<std::string> directories;

  State() {
    archive_write_set_format_cpio_newc(writer);
    archive_write_add_filter_none(writer);
    archive_write_set_bytes_per_block(writer, 0);  // straight to append(), no padding
    archive_write_open(writer, &bytes, nullptr, append, nullptr);
  }
  ~State() { archive_write_free(writer); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Result<void> put(const Entry& entry, std::span<const uint8_t> contents = {}) {
    if (archive_write_header(writer, entry.get()) != ARCHIVE_OK) return failure();
    if (!contents.empty() && archive_write_data(writer, contents.data(), contents.size()) != static_cast<la_ssize_t>(contents.size())) return failure();
    if (archive_write_finish_entry(writer) != ARCHIVE_OK) return failure();
    return {};
  }
  std::unexpected<Error> failure() const {
    const char* why = archive_error_string(writer);
    return fail(ErrorCode::kInternal, std::string("writing a cpio archive: ") + (why ? why : "unknown error"));
  }
};

CpioWriter::CpioWriter() : state_(std::make_unique<State>()) {}
CpioWriter::~CpioWriter() = default;
CpioWriter::CpioWriter(CpioWriter&&) noexcept = default;
CpioWriter& CpioWriter::operator=(CpioWriter&&) noexcept = default;

Result<void> CpioWriter::add_parents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (!state_->directories.contains(path.substr(0, slash))) TRY(add_directory(path.substr(0, slash)));
  }
  return {};
}

Result<void> CpioWriter::add_directory(const std::string& path, uint32_t mode) {
  if (state_->directories.contains(path)) return {};
  TRY(add_parents(path));
  state_->directories.insert(path);
  return state_->put(make_entry(path, S_IFDIR | mode));
}

Result<void> CpioWriter::add_file(const std::string& path, std::span<const uint8_t> contents, uint32_t mode) {
  // The size field has eight hexadecimal digits.
  if (contents.size() > UINT32_MAX) return fail(ErrorCode::kInvalidArgument, path + " is larger than 4 GiB, which an initramfs cannot hold");
  TRY(add_parents(path));
  const Entry entry = make_entry(path, S_IFREG | mode);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(contents.size()));
  return state_->put(entry, contents);
}

Result<void> CpioWriter::add_symlink(const std::string& path, const std::string& target) {
  TRY(add_parents(path));
  const Entry entry = make_entry(path, S_IFLNK | 0777);
  archive_entry_set_symlink(entry.get(), target.c_str());
  return state_->put(entry);
}

Result<void> CpioWriter::add_character_device(const std::string& path, uint32_t mode, unsigned major, unsigned minor) {
  TRY(add_parents(path));
  const Entry entry = make_entry(path, S_IFCHR | mode);
  archive_entry_set_rdevmajor(entry.get(), major);
  archive_entry_set_rdevminor(entry.get(), minor);
  return state_->put(entry);
}

Result<Bytes> CpioWriter::finish() {
  if (archive_write_close(state_->writer) != ARCHIVE_OK) return state_->failure();
  return std::move(state_->bytes);
}

}  // namespace adyton::image
