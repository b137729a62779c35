// What a Linux guest says about itself to whoever looks at its memory from outside: VMCOREINFO, text that the kernel keeps for
// crash tools (Documentation/admin-guide/kdump/vmcoreinfo.rst). It tells where the kernel is in spite of KASLR, and where its
// tables are.
//
// All of it is the guest's to make up: everything here is total and bounded, and nothing is believed beyond that.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/guest_memory.h"

namespace adyton::vmm::inspect {

class KernelInfo {
 public:
  static constexpr size_t kMaxText = 4096;  // the kernel's VMCOREINFO_BYTES, a page

  // Looks through the guest's memory for the ELF note that the kernel keeps, page by page. None: there is no Linux, or not yet.
  static std::optional<KernelInfo> find(const GuestMemory& memory);
  explicit KernelInfo(std::string text);

  // As the kernel wrote it: lines of KEY=VALUE.
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string_view release() const;  // of the kernel, as uname has it; "" if it does not say
  // SYMBOL(name), NUMBER(name), SIZE(name) and OFFSET(name).
  [[nodiscard]] std::optional<uint64_t> symbol(std::string_view name) const { return value("SYMBOL", name, 16); }
  [[nodiscard]] std::optional<uint64_t> number(std::string_view name) const { return value("NUMBER", name, 10); }
  [[nodiscard]] std::optional<uint64_t> size(std::string_view name) const { return value("SIZE", name, 10); }
  [[nodiscard]] std::optional<uint64_t> offset(std::string_view name) const { return value("OFFSET", name, 10); }

  // Where an address of the kernel's image or linear map leads. None: it is in neither.
  [[nodiscard]] std::optional<GuestPhysAddr> physical(uint64_t va) const;
  // Where the linear map has a physical address.
  [[nodiscard]] std::optional<uint64_t> linear(GuestPhysAddr address) const;
  // Reads there; false when a byte of it is not in memory.
  [[nodiscard]] bool read(const GuestMemory& memory, uint64_t va, std::span<uint8_t> out) const;
  template <typename T>
  [[nodiscard]] std::optional<T> load(const GuestMemory& memory, uint64_t va) const {
    T result{};
    if (!read(memory, va, std::span(reinterpret_cast<uint8_t*>(&result), sizeof result))) return std::nullopt;
    return result;
  }

 private:
  [[nodiscard]] std::optional<uint64_t> value(std::string_view kind, std::string_view name, int base) const;

  std::string text_;
  std::map<std::string, std::string, std::less<>> values_;
  // The parts of arm64's memory layout (Documentation/arch/arm64/memory.rst).
  std::optional<uint64_t> page_offset_, physical_offset_, image_offset_, image_;
  uint64_t linear_end_ = 0;
};

}  // namespace adyton::vmm::inspect
