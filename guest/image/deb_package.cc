#include "guest/image/deb_package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

namespace adyton::image {
namespace {

constexpr size_t kMaxFileSize = size_t{1} << 30;

struct ReaderDeleter {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, ReaderDeleter>;

std::unexpected<Error> damaged(archive* reader, const std::string& name) {
  const char* why = archive_error_string(reader);
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", name, why ? why : "not readable"));
}

Result<Bytes> read_entry(archive* reader, const std::string& name) {
  Bytes contents;
  for (;;) {
    const size_t chunk = size_t{1} << 18;
    const size_t filled = contents.size();
    if (filled > kMaxFileSize) return fail(ErrorCode::kCorrupt, name + ": unreasonably large");
    contents.resize(filled + chunk);
    const la_ssize_t size = archive_read_data(reader, contents.data() + filled, chunk);
    if (size < 0) return damaged(reader, name);
    contents.resize(filled + static_cast<size_t>(size));
    if (size == 0) return contents;
  }
}

// Feeds the data member of the outer archive to the reader of the inner one.
struct Member {
  archive* outer;
  std::array<uint8_t, 65536> buffer;
};

la_ssize_t read_member(archive*, void* context, const void** data) {
  auto& member = *static_cast<Member*>(context);
  *data = member.buffer.data();
  return archive_read_data(member.outer, member.buffer.data(), member.buffer.size());
}

Result<void> enter_data_member(archive* outer, const std::string& deb) {
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(outer, &entry);
    if (status == ARCHIVE_EOF) return fail(ErrorCode::kCorrupt, deb + ": a package without a data archive");
    if (status < ARCHIVE_WARN) return damaged(outer, deb);
    const char* name = archive_entry_pathname(entry);
    if (name && std::string_view(name).starts_with("data.tar")) return {};
  }
}

}  // namespace

Result<std::map<std::string, Bytes>> read_package_files(const std::string& deb, const std::function<bool(const std::string&)>& wanted) {
  const Reader outer(archive_read_new());
  archive_read_support_format_ar(outer.get());
  if (archive_read_open_filename(outer.get(), deb.c_str(), 65536) != ARCHIVE_OK) return damaged(outer.get(), deb);
  TRY(enter_data_member(outer.get(), deb));

  const auto member = std::make_unique<Member>(Member{outer.get(), {}});
  const Reader inner(archive_read_new());
  archive_read_support_format_tar(inner.get());
  archive_read_support_filter_all(inner.get());
  if (archive_read_open(inner.get(), member.get(), nullptr, read_member, nullptr) != ARCHIVE_OK) return damaged(inner.get(), deb);
  std::map<std::string, Bytes> files;
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(inner.get(), &entry);
    if (status == ARCHIVE_EOF) return files;
    if (status < ARCHIVE_WARN) return damaged(inner.get(), deb);
    const char* name = archive_entry_pathname(entry);
    if (!name || !S_ISREG(archive_entry_mode(entry))) continue;
    std::string path = name;
    if (path.starts_with("./")) path.erase(0, 2);
    if (wanted(path)) files[path] = TRY(read_entry(inner.get(), path));
  }
}

Result<Bytes> decompress(std::span<const uint8_t> file) {
  const Reader reader(archive_read_new());
  archive_read_support_format_raw(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader.get(), file.data(), file.size()) != ARCHIVE_OK || archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
    return damaged(reader.get(), "a compressed file");
  }
  return read_entry(reader.get(), "a compressed file");
}

}  // namespace adyton::image
