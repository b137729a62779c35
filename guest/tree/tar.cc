#include "guest/tree/tar.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <tuple>

namespace adyton::tree {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxAttributes = uint64_t{1} << 20;
constexpr uint64_t kMaxSize = uint64_t{1} << 62;
constexpr size_t kMaxExtents = size_t{1} << 17;
constexpr uint64_t kMaxOctalSize = 077777777777;

// The fields of a header: where, and how long.
struct Field {
  size_t at;
  size_t size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12}, kSum{148, 8},
    kType{156, 1}, kLinkName{157, 100}, kMagic{257, 8}, kPrefix{345, 155};
constexpr std::string_view kUstar("ustar\00000", 8);

using Header = std::array<uint8_t, kBlock>;

std::unexpected<Error> malformed(const char* why) {
  return fail(ErrorCode::kCorrupt, std::string("the stream of files is damaged: ") + why);
}

uint64_t padding_of(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

void put(Header& header, Field field, std::string_view text) {
  std::memcpy(header.data() + field.at, text.data(), std::min(text.size(), field.size));
}

void put_octal(Header& header, Field field, uint64_t value) {
  for (size_t i = field.size - 1; i-- > 0; value >>= 3) header[field.at + i] = static_cast<uint8_t>('0' + (value & 7));
}

uint32_t checksum(const Header& header) {
  uint32_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += i >= kSum.at && i < kSum.at + kSum.size ? ' ' : header[i];
  return sum;
}

std::string_view text_of(const Header& header, Field field) {
  const std::string_view all(reinterpret_cast<const char*>(header.data()) + field.at, field.size);
  return all.substr(0, all.find('\0'));
}

std::optional<uint64_t> octal(const Header& header, Field field) {
  std::string_view text = text_of(header, field);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  uint64_t value = 0;
  if (text.empty()) return value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> decimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "12 path=name\n": the length counts itself.
void append_record(std::string& records, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t size = rest + 1;
  while (std::to_string(size).size() + rest != size) size = std::to_string(size).size() + rest;
  records += std::to_string(size) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

// GNU tar makes a hole at the file's end for an empty extent there only, whatever the real size says.
std::string map_of(const Entry& entry) {
  std::vector<Extent> extents = entry.data;
  if (extents.empty() || extents.back().offset + extents.back().size < entry.size)
    extents.push_back({.offset = entry.size, .size = 0});
  std::string map = std::to_string(extents.size()) + "\n";
  for (const Extent& extent : extents) map += std::to_string(extent.offset) + "\n" + std::to_string(extent.size) + "\n";
  map.resize(map.size() + padding_of(map.size()));
  return map;
}

// Nothing but data, from the first byte to the last.
bool is_dense(const Entry& entry) {
  return entry.size == 0 || (entry.data.size() == 1 && entry.data[0] == Extent{.offset = 0, .size = entry.size});
}

std::span<const uint8_t> bytes_of(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

Result<void> write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      return errno == EPIPE ? fail(ErrorCode::kUnavailable, "the other side takes no more files") : fail_errno("sending files");
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace

// ---- writing -------------------------------------------------------------------------------------------------------------

Result<void> TarWriter::header(char type, const std::string& name, const Entry& entry, uint64_t stored, const std::string& link) {
  Header header{};
  put(header, kName, name);
  put_octal(header, kMode, entry.mode & 07777);
  put_octal(header, kUid, 0);
  put_octal(header, kGid, 0);
  put_octal(header, kSize, std::min(stored, kMaxOctalSize));
  put_octal(header, kMtime, entry.mtime < 0 ? 0 : std::min<uint64_t>(static_cast<uint64_t>(entry.mtime), kMaxOctalSize));
  header[kType.at] = static_cast<uint8_t>(type);
  put(header, kLinkName, link);
  put(header, kMagic, kUstar);
  put_octal(header, {kSum.at, 7}, checksum(header));
  header[kSum.at + 7] = ' ';
  return write_all(fd_, header);
}

Result<void> TarWriter::begin(const Entry& entry) {
  TRY(pad());
  const bool file = entry.kind == Entry::Kind::kFile;
  const bool sparse = file && !is_dense(entry);
  std::string map;
  uint64_t stored = 0;
  if (file) {
    for (const Extent& extent : entry.data) stored += extent.size;
    if (sparse) map = map_of(entry);
    stored += map.size();
  }
  std::string records;
  if (sparse) {
    append_record(records, "GNU.sparse.major", "1");
    append_record(records, "GNU.sparse.minor", "0");
    append_record(records, "GNU.sparse.name", entry.name);
    append_record(records, "GNU.sparse.realsize", std::to_string(entry.size));
  } else if (entry.name.size() > kName.size) {
    append_record(records, "path", entry.name);
  }
  if (entry.link.size() > kLinkName.size) append_record(records, "linkpath", entry.link);
  if (stored > kMaxOctalSize) append_record(records, "size", std::to_string(stored));
  if (entry.mtime >= 0 && entry.mtime_ns != 0) {
    const std::string digits = std::to_string(1'000'000'000 + entry.mtime_ns);
    append_record(records, "mtime", std::to_string(entry.mtime) + "." + digits.substr(1));
  }
  if (!records.empty()) {
    Entry attributes;
    TRY(header('x', "attributes", attributes, records.size(), ""));
    records.resize(records.size() + padding_of(records.size()));
    TRY(write_all(fd_, bytes_of(records)));
  }
  const char type = file ? '0' : entry.kind == Entry::Kind::kFolder ? '5' : '2';
  TRY(header(type, entry.name, entry, stored, entry.link));
  return write_all(fd_, bytes_of(map));  // whole blocks
}

Result<void> TarWriter::data(std::span<const uint8_t> bytes) {
  in_block_ = (in_block_ + bytes.size()) % kBlock;
  return write_all(fd_, bytes);
}

Result<void> TarWriter::pad() {
  const Header zeros{};
  const uint64_t missing = padding_of(in_block_);
  in_block_ = 0;
  return write_all(fd_, std::span(zeros).first(missing));
}

Result<void> TarWriter::finish() {
  TRY(pad());
  const std::array<uint8_t, 2 * kBlock> zeros{};
  return write_all(fd_, zeros);
}

// ---- reading -------------------------------------------------------------------------------------------------------------

// What pax headers say about the entry behind them.
struct TarReader::Attributes {
  std::optional<std::string> path, link, sparse_name;
  std::optional<uint64_t> size, real_size;
  std::optional<std::pair<int64_t, uint32_t>> mtime;
  bool sparse = false;
};

Result<void> TarReader::read_exactly(std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::read(fd_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("receiving files");
    if (got == 0) return fail(ErrorCode::kUnavailable, "the other side stopped in the middle of the files");
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return {};
}

Result<void> TarReader::skip(uint64_t size) {
  std::array<uint8_t, 16384> ignored;
  while (size > 0) {
    const auto part = static_cast<size_t>(std::min<uint64_t>(size, ignored.size()));
    TRY(read_exactly(std::span(ignored).first(part)));
    size -= part;
  }
  return {};
}

Result<std::string> TarReader::text(uint64_t size) {
  if (size > kMaxAttributes) return malformed("too many attributes");
  std::string text(static_cast<size_t>(size), '\0');
  TRY(read_exactly({reinterpret_cast<uint8_t*>(text.data()), text.size()}));
  TRY(skip(padding_of(size)));
  return text;
}

Result<void> TarReader::read_attributes(uint64_t size, Attributes& attributes) {
  const std::string all = TRY(text(size));
  std::string_view rest = all;
  while (!rest.empty()) {
    const size_t space = rest.find(' ');
    const auto length = decimal(rest.substr(0, std::min(space, rest.size())));
    if (space == std::string_view::npos || !length || *length <= space + 1 || *length > rest.size() ||
        rest[*length - 1] != '\n') {
      return malformed("an attribute without an end");
    }
    const std::string_view record = rest.substr(space + 1, static_cast<size_t>(*length) - space - 2);
    rest.remove_prefix(static_cast<size_t>(*length));
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return malformed("an attribute without a value");
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") attributes.path = value;
    if (key == "linkpath") attributes.link = value;
    if (key == "GNU.sparse.name") attributes.sparse_name = value;
    if (key == "GNU.sparse.major") attributes.sparse = value == "1";
    if (key == "size" || key == "GNU.sparse.realsize") {
      const auto number = decimal(value);
      if (!number) return malformed("a size that is no number");
      (key == "size" ? attributes.size : attributes.real_size) = number;
    }
    if (key == "mtime") {
      const size_t point = std::min(value.find('.'), value.size());
      std::string fraction(value.substr(std::min(point + 1, value.size())));
      fraction.resize(9, '0');
      const auto seconds = decimal(value.substr(0, point));
      const auto nanoseconds = decimal(fraction);
      // Times before 1970, and those that nobody can hold, are left to the header.
      if (seconds && nanoseconds && *seconds < kMaxSize)
        attributes.mtime = {static_cast<int64_t>(*seconds), static_cast<uint32_t>(*nanoseconds)};
    }
  }
  return {};
}

// The map of a sparse file: numbers, one in a line, in whole blocks before the data.
Result<void> TarReader::read_map(Entry& entry) {
  std::array<uint8_t, kBlock> block;
  size_t at = kBlock;
  const auto number = [&]() -> Result<uint64_t> {
    std::string digits;
    for (;;) {
      if (at == kBlock) {
        if (left_ < kBlock) return malformed("a sparse file's map has no end");
        TRY(read_exactly(block));
        left_ -= kBlock;
        at = 0;
      }
      const char c = static_cast<char>(block[at++]);
      if (c == '\n') break;
      digits += c;
      if (digits.size() > 20) return malformed("a sparse file's map is no list of numbers");
    }
    const auto value = decimal(digits);
    if (!value || *value > kMaxSize) return malformed("a sparse file's map is no list of numbers");
    return *value;
  };
  const uint64_t count = TRY(number());
  if (count > kMaxExtents) return malformed("a sparse file has too many parts");
  uint64_t end = 0;
  uint64_t total = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t offset = TRY(number());
    const uint64_t size = TRY(number());
    if (offset < end || offset + size > entry.size) return malformed("a sparse file's parts overlap, or lie outside");
    end = offset + size;
    total += size;
    if (size != 0) entry.data.push_back({.offset = offset, .size = size});
  }
  if (total != left_) return malformed("a sparse file's parts are not its data");
  return {};
}

Result<std::optional<Entry>> TarReader::next() {
  TRY(skip(left_));
  TRY(skip(padding_));
  left_ = padding_ = 0;
  Attributes attributes;
  for (;;) {
    Header header;
    TRY(read_exactly(header));
    if (std::ranges::all_of(header, [](uint8_t byte) { return byte == 0; })) return std::nullopt;
    if (octal(header, kSum) != checksum(header)) return malformed("a header's checksum is wrong");
    const auto size = octal(header, kSize);
    const auto mode = octal(header, kMode);
    const auto mtime = octal(header, kMtime);
    if (!size || !mode || !mtime) return malformed("a header's number is none");
    const char type = static_cast<char>(header[kType.at]);
    if (type == 'x') {
      TRY(read_attributes(*size, attributes));
      continue;
    }
    if (type == 'g') {
      TRY(text(*size));
      continue;
    }
    Entry entry;
    entry.mode = static_cast<uint32_t>(*mode & 07777);
    entry.mtime = static_cast<int64_t>(*mtime);
    if (attributes.mtime) std::tie(entry.mtime, entry.mtime_ns) = *attributes.mtime;
    const std::string prefix(text_of(header, kPrefix));
    entry.name = (prefix.empty() ? "" : prefix + "/") + std::string(text_of(header, kName));
    if (attributes.path) entry.name = *attributes.path;
    if (attributes.sparse_name) entry.name = *attributes.sparse_name;
    while (entry.name.size() > 1 && entry.name.back() == '/') entry.name.pop_back();
    left_ = attributes.size.value_or(*size);
    if (left_ > kMaxSize) return malformed("a file is too large");
    padding_ = padding_of(left_);
    switch (type) {
      case '0':
      case '\0':
        entry.kind = Entry::Kind::kFile;
        entry.size = attributes.sparse ? attributes.real_size.value_or(0) : left_;
        if (entry.size > kMaxSize) return malformed("a file is too large");
        if (attributes.sparse) {
          TRY(read_map(entry));
        } else if (left_ != 0) {
          entry.data.push_back({.offset = 0, .size = left_});
        }
        break;
      case '5': entry.kind = Entry::Kind::kFolder; break;
      case '2':
        entry.kind = Entry::Kind::kLink;
        entry.link = attributes.link ? *attributes.link : std::string(text_of(header, kLinkName));
        break;
      default: return malformed("it has something that is neither a file, a folder nor a symbolic link");
    }
    return entry;
  }
}

Result<size_t> TarReader::data(std::span<uint8_t> bytes) {
  const auto part = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  TRY(read_exactly(bytes.first(part)));
  left_ -= part;
  return part;
}

}  // namespace adyton::tree
