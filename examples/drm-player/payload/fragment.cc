#include "fragment.h"

#include <array>
#include <optional>
#include <string_view>

namespace drm {
namespace {

using adyton::ErrorCode;
using adyton::fail;
using adyton::Result;

constexpr uint32_t kMaxFrames = 100'000;

// Takes big-endian numbers from the front of some bytes.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  Result<std::span<const uint8_t>> take(size_t size) {
    if (size > bytes_.size()) return fail(ErrorCode::kCorrupt, "the fragment ends in the middle of a box");
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  Result<uint32_t> number(size_t size) {
    uint32_t value = 0;
    for (const uint8_t byte : TRY(take(size))) value = value << 8 | byte;
    return value;
  }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] size_t left() const { return bytes_.size(); }

 private:
  std::span<const uint8_t> bytes_;
};

struct Box {
  std::string_view type;
  std::span<const uint8_t> body;
};

// Sizes of 64 bits and "to the end of the file" have no place in a fragment that fits into memory.
Result<Box> next_box(Reader& reader) {
  const uint32_t size = TRY(reader.number(4));
  const auto type = TRY(reader.take(4));
  if (size < 8) return fail(ErrorCode::kCorrupt, "a box is smaller than its header");
  return Box{.type = {reinterpret_cast<const char*>(type.data()), 4}, .body = TRY(reader.take(size - 8))};
}

// The only box of that type; others are passed over.
Result<std::span<const uint8_t>> find_box(std::span<const uint8_t> parent, std::string_view type) {
  Reader reader(parent);
  std::optional<std::span<const uint8_t>> found;
  while (!reader.empty()) {
    const Box box = TRY(next_box(reader));
    if (box.type != type) continue;
    if (found) return fail(ErrorCode::kCorrupt, "there are two boxes '" + std::string(type) + "'");
    found = box.body;
  }
  if (!found) return fail(ErrorCode::kCorrupt, "there is no box '" + std::string(type) + "'");
  return *found;
}

// The sizes in a track run, ISO/IEC 14496-12, 8.8.8.
Result<std::vector<uint32_t>> read_sizes(std::span<const uint8_t> body) {
  Reader reader(body);
  const uint32_t flags = TRY(reader.number(4)) & 0xff'ffff;
  const uint32_t count = TRY(reader.number(4));
  if (count > kMaxFrames) return fail(ErrorCode::kCorrupt, "the fragment has too many frames");
  if ((flags & 0x200) == 0) return fail(ErrorCode::kCorrupt, "the track run says no frame sizes");
  if ((flags & 0x1) != 0) TRY(reader.take(4));  // data offset: the frames begin with the box 'mdat' here
  if ((flags & 0x4) != 0) TRY(reader.take(4));  // flags of the first frame
  std::vector<uint32_t> sizes;
  for (uint32_t i = 0; i < count; ++i) {
    if ((flags & 0x100) != 0) TRY(reader.take(4));  // duration
    sizes.push_back(TRY(reader.number(4)));
    if ((flags & 0x400) != 0) TRY(reader.take(4));  // flags
    if ((flags & 0x800) != 0) TRY(reader.take(4));  // composition time
  }
  return sizes;
}

// The frame's own part of the box 'senc', ISO/IEC 23001-7, 7.2.
Result<void> read_encryption(Reader& reader, size_t iv_size, bool has_subsamples, EncryptedFrame& frame) {
  frame.iv = TRY(reader.take(iv_size));
  if (!has_subsamples) return {};
  const uint32_t count = TRY(reader.number(2));
  uint64_t covered = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Subsample part;
    part.clear = TRY(reader.number(2));
    part.encrypted = TRY(reader.number(4));
    covered += uint64_t{part.clear} + part.encrypted;
    frame.subsamples.push_back(part);
  }
  if (count != 0 && covered != frame.bytes.size())
    return fail(ErrorCode::kCorrupt, "the parts of a frame do not add up to its size");
  return {};
}

}  // namespace

Result<std::vector<EncryptedFrame>> read_fragment(std::span<const uint8_t> fragment, size_t iv_size) {
  const auto movie = TRY(find_box(fragment, "moof"));
  const auto track = TRY(find_box(movie, "traf"));
  const auto run = TRY(find_box(track, "trun"));
  const std::vector<uint32_t> sizes = TRY(read_sizes(run));
  Reader data(TRY(find_box(fragment, "mdat")));
  std::vector<EncryptedFrame> frames;
  for (const uint32_t size : sizes) {
    if (size > data.left()) return fail(ErrorCode::kCorrupt, "the frames are larger than the fragment's data");
    frames.push_back({.bytes = TRY(data.take(size)), .iv = {}, .subsamples = {}});
  }
  if (!data.empty()) return fail(ErrorCode::kCorrupt, "there is data that belongs to no frame");

  Reader encryption(TRY(find_box(track, "senc")));
  const uint32_t flags = TRY(encryption.number(4)) & 0xff'ffff;
  if (TRY(encryption.number(4)) != frames.size()) return fail(ErrorCode::kCorrupt, "not every frame has encryption information");
  for (EncryptedFrame& frame : frames) TRY(read_encryption(encryption, iv_size, (flags & 2) != 0, frame));
  return frames;
}

Result<int> count_nal_units(std::span<const uint8_t> frame) {
  Reader reader(frame);
  int units = 0;
  while (!reader.empty()) {
    const uint32_t size = TRY(reader.number(4));
    if (size == 0 || size > reader.left()) return fail(ErrorCode::kCorrupt, "a frame is no sequence of NAL units");
    TRY(reader.take(size));
    ++units;
  }
  return units;
}

}  // namespace drm
