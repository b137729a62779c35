#include "vmm/image_loader.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string_view>

#include "vmm/decompressor.h"

namespace adyton::vmm {
namespace {

// The header of an Image, little-endian (booting.rst, "Call the kernel image").
struct ImageHeader {
  uint32_t code0, code1;
  uint64_t text_offset, image_size, flags;
  uint64_t reserved2, reserved3, reserved4;
  uint32_t magic, reserved5;
};
static_assert(sizeof(ImageHeader) == 64);
constexpr uint32_t kImageMagic = 0x644d5241;  // "ARM\x64"
constexpr uint64_t kFlagBigEndian = 1;
constexpr uint64_t kDefaultTextOffset = 0x80000;  // for headers from before image_size was filled in
constexpr uint64_t kUnknownBss = 16ull << 20;     // likewise: room for what the header does not tell
constexpr uint64_t kTwoMiB = 2ull << 20;

// EFI zboot (drivers/firmware/efi/libstub/zboot-header.S): "MZ", "zimg" at 4, payload offset and size at 8 and 12, compression
// name at 24.
struct ZbootHeader {
  std::array<char, 4> mz;
  std::array<char, 4> zimg;
  uint32_t payload_offset, payload_size;
  std::array<char, 8> reserved;
  std::array<char, 32> compression;
};
static_assert(sizeof(ZbootHeader) == 56);

bool starts_with(std::span<const uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

using namespace std::string_view_literals;
constexpr std::string_view kGzipMagic = "\x1f\x8b"sv, kZstdMagic = "\x28\xb5\x2f\xfd"sv,
                           kElfMagic =
                               "\x7f"
                               "ELF"sv;

Result<std::unique_ptr<Decompressor>> open_zboot(const ByteSource& source, std::span<const uint8_t> start) {
  ZbootHeader header;
  std::memcpy(&header, start.data(), sizeof header);
  if (header.payload_offset > source.size() || header.payload_size > source.size() - header.payload_offset) {
    return fail(ErrorCode::kCorrupt, "the EFI zboot header points outside of the file");
  }
  std::string_view name(header.compression.data(), strnlen(header.compression.data(), header.compression.size()));
  if (name == "gzip") return Decompressor::gzip(source, header.payload_offset, header.payload_size);
  if (name == "zstd" || name == "zstd22") return Decompressor::zstd(source, header.payload_offset, header.payload_size);
  std::string printable;
  for (char c : name) printable += c >= 0x20 && c < 0x7f ? c : '?';
  return fail(ErrorCode::kUnsupported,
              fmt::format("the kernel is compressed with \"{}\"; gzip and zstd are supported", printable));
}

// The plain Image inside the file.
Result<std::unique_ptr<Decompressor>> open_kernel(const ByteSource& source) {
  std::array<uint8_t, 64> start{};
  if (source.size() < start.size()) return fail(ErrorCode::kCorrupt, "the file is too small to be an arm64 kernel Image");
  TRY(source.read(0, start));
  if (starts_with(start, kGzipMagic)) return Decompressor::gzip(source, 0, source.size());
  if (starts_with(start, kZstdMagic)) return Decompressor::zstd(source, 0, source.size());
  if (starts_with(start, "MZ") && starts_with(std::span(start).subspan(4), "zimg")) return open_zboot(source, start);
  if (starts_with(start, kElfMagic)) {
    return fail(ErrorCode::kUnsupported,
                "the file is an ELF program (vmlinux?), not an arm64 kernel Image; use arch/arm64/boot/Image");
  }
  return Decompressor::plain(source, 0, source.size());
}

// The rest of `from` into `to`. False: it does not fit.
Result<bool> drain(Decompressor& from, std::span<uint8_t> to, size_t& size) {
  size = TRY(from.read(to));
  if (size < to.size()) return true;
  uint8_t more;
  return TRY(from.read(std::span(&more, 1))) == 0;
}

std::string mebibytes(uint64_t bytes) { return fmt::format("{} MiB", (bytes + (1 << 20) - 1) >> 20); }

}  // namespace

Result<LoadedKernel> load_kernel(const ByteSource& source, const GuestRegion& ram) {
  auto image = TRY(open_kernel(source));
  std::array<uint8_t, sizeof(ImageHeader)> start{};
  ImageHeader header;
  if (TRY(image->read(start)) != start.size())
    return fail(ErrorCode::kCorrupt, "the file is too small to be an arm64 kernel Image");
  std::memcpy(&header, start.data(), sizeof header);
  if (header.magic != kImageMagic)
    return fail(ErrorCode::kCorrupt, "the file is not an arm64 kernel Image (no magic number at offset 56)");
  if (header.flags & kFlagBigEndian) return fail(ErrorCode::kUnsupported, "the kernel is big-endian, which the engine is not");
  bool sized = header.image_size != 0;
  uint64_t offset = sized ? header.text_offset : kDefaultTextOffset;
  // "text_offset bytes from a 2 MB aligned base": RAM begins with such a base.
  if (offset >= kTwoMiB) return fail(ErrorCode::kCorrupt, fmt::format("the kernel's text offset {:#x} is 2 MiB or more", offset));
  if (offset + start.size() > ram.size || header.image_size > ram.size - offset) {
    return fail(ErrorCode::kExhausted, fmt::format("the kernel needs {} of memory, but the VM has {}",
                                                   mebibytes(offset + header.image_size), mebibytes(ram.size)));
  }
  std::memcpy(ram.host + offset, start.data(), start.size());
  size_t rest = 0;
  if (!TRY(drain(*image, std::span(ram.host, ram.size).subspan(offset + start.size()), rest))) {
    return fail(ErrorCode::kExhausted, fmt::format("the kernel does not fit into the VM's {}", mebibytes(ram.size)));
  }
  uint64_t size = std::max<uint64_t>(start.size() + rest, header.image_size) + (sized ? 0 : kUnknownBss);
  return LoadedKernel{ram.base + offset, ram.base + offset + size};
}

Result<LoadedKernel> load_flat(const ByteSource& source, const GuestRegion& ram) {
  if (source.size() == 0) return fail(ErrorCode::kInvalidArgument, "the file is empty");
  if (ram.size < kFlatOffset || source.size() > ram.size - kFlatOffset) {
    return fail(ErrorCode::kExhausted,
                fmt::format("the program has {}, but the VM's memory only {}", mebibytes(source.size()), mebibytes(ram.size)));
  }
  TRY(source.read(0, std::span(ram.host + kFlatOffset, source.size())));
  return LoadedKernel{ram.base + kFlatOffset, ram.base + kFlatOffset + source.size() + kUnknownBss};
}

Result<LoadedKernel> load_firmware(const ByteSource& source, const GuestRegion& rom) {
  if (source.size() == 0) return fail(ErrorCode::kInvalidArgument, "the file is empty");
  if (source.size() > rom.size) {
    return fail(ErrorCode::kExhausted,
                fmt::format("the firmware has {}, but there is room for {}", mebibytes(source.size()), mebibytes(rom.size)));
  }
  TRY(source.read(0, std::span(rom.host, source.size())));
  return LoadedKernel{rom.base, rom.base + source.size()};
}

Result<void> load_initrd(const ByteSource& source, const GuestRegion& ram, GuestPhysAddr base) {
  uint64_t offset = base - ram.base;
  if (base < ram.base || offset > ram.size || source.size() > ram.size - offset) {
    return fail(ErrorCode::kExhausted,
                fmt::format("the initrd has {}, but only {} of the VM's {} are free for it", mebibytes(source.size()),
                            mebibytes(base >= ram.base && offset <= ram.size ? ram.size - offset : 0), mebibytes(ram.size)));
  }
  return source.read(0, std::span(ram.host + offset, source.size()));
}

}  // namespace adyton::vmm
