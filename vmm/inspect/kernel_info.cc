#include "vmm/inspect/kernel_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace adyton::vmm::inspect {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kImageReach = 256ull << 20;  // from _stext, in both directions: more than any kernel has

// The ELF note at the beginning of a page (include/uapi/linux/elf.h).
struct Note {
  uint32_t name_size, text_size, type;
  char name[12];
};
static_assert(sizeof(Note) == 24);
constexpr std::string_view kNoteName("VMCOREINFO\0", 11);
constexpr std::string_view kFirstLine = "OSRELEASE=";

std::optional<std::string> note_text(std::span<const uint8_t> page) {
  Note note;
  std::memcpy(&note, page.data(), sizeof note);
  if (note.name_size != kNoteName.size() || note.type != 0) return std::nullopt;
  if (std::memcmp(note.name, kNoteName.data(), kNoteName.size()) != 0) return std::nullopt;
  if (note.text_size > KernelInfo::kMaxText) return std::nullopt;
  return std::string(note.text_size, '\0');
}

}  // namespace

std::optional<KernelInfo> KernelInfo::find(const GuestMemory& memory) {
  for (const GuestRegion& region : memory.regions()) {
    for (uint64_t at = 0; at + kPage <= region.size; at += kPage) {
      auto text = note_text(std::span(region.host + at, kPage));
      if (!text) continue;
      const std::span bytes(reinterpret_cast<uint8_t*>(text->data()), text->size());
      if (!memory.read(region.base + at + sizeof(Note), bytes)) continue;
      if (text->starts_with(kFirstLine)) return KernelInfo(std::move(*text));
    }
  }
  return std::nullopt;
}

KernelInfo::KernelInfo(std::string text) : text_(std::move(text)) {
  for (size_t at = 0; at < text_.size();) {
    const size_t end = std::min(text_.find('\n', at), text_.size());
    const std::string_view line = std::string_view(text_).substr(at, end - at);
    if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      values_.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    at = end + 1;
  }
  image_offset_ = number("kimage_voffset");
  image_ = symbol("_stext");
  physical_offset_ = number("PHYS_OFFSET");
  const auto bits = number("VA_BITS");
  if (bits && *bits >= 36 && *bits <= 52) {
    page_offset_ = -(1ull << *bits);
    linear_end_ = -(1ull << (std::min<uint64_t>(*bits, 48) - 1));
  }
}

std::string_view KernelInfo::release() const {
  const auto found = values_.find("OSRELEASE");
  return found == values_.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<uint64_t> KernelInfo::value(std::string_view kind, std::string_view name, int base) const {
  const auto found = values_.find(fmt::format("{}({})", kind, name));
  if (found == values_.end()) return std::nullopt;
  std::string_view digits = found->second;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  if (digits.starts_with("0x")) {
    digits.remove_prefix(2);
    base = 16;
  }
  uint64_t result = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return negative ? -result : result;
}

std::optional<GuestPhysAddr> KernelInfo::physical(uint64_t va) const {
  if (page_offset_ && physical_offset_ && va >= *page_offset_ && va < linear_end_) return va - *page_offset_ + *physical_offset_;
  if (image_offset_ && image_ && va + kImageReach >= *image_ && va < *image_ + kImageReach) return va - *image_offset_;
  return std::nullopt;
}

std::optional<uint64_t> KernelInfo::linear(GuestPhysAddr address) const {
  if (!page_offset_ || !physical_offset_) return std::nullopt;
  const uint64_t va = address - *physical_offset_ + *page_offset_;
  return va >= *page_offset_ && va < linear_end_ ? std::optional(va) : std::nullopt;
}

bool KernelInfo::read(const GuestMemory& memory, uint64_t va, std::span<uint8_t> out) const {
  const auto address = physical(va);
  return address && memory.read(*address, out).has_value();
}

}  // namespace adyton::vmm::inspect
