#include "vmm/inspect/core_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

namespace adyton::vmm::inspect {
namespace {

constexpr uint64_t kAlignment = 4096;
// p_align of the memory, as Linux's own /proc/vmcore has it: what tells crash that this is a core of kdump. It takes one whose
// segments say how they are aligned for netdump's, an older format, and looks for no VMCOREINFO there.
constexpr uint64_t kNoAlignment = 0;
constexpr uint64_t kMaxImage = 128ull << 20;  // bytes from _stext on
constexpr size_t kMaxImageParts = 16;

// struct elf_prstatus and struct user_fpsimd_state of AArch64 Linux.
struct Prstatus {
  int32_t signal[3];
  int16_t current_signal;
  uint64_t pending, held;
  int32_t pid, parent, group, session;
  int64_t times[8];
  uint64_t registers[34];
  int32_t fp_valid;
};
static_assert(sizeof(Prstatus) == 392 && offsetof(Prstatus, pid) == 32 && offsetof(Prstatus, registers) == 112);
struct FpRegisters {
  uint8_t vector[32][16];
  uint32_t fpsr, fpcr, reserved[2];
};
static_assert(sizeof(FpRegisters) == 528);

template <typename T>
void append(std::vector<uint8_t>& out, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}
void pad(std::vector<uint8_t>& out, size_t alignment) { out.resize((out.size() + alignment - 1) / alignment * alignment); }

void append_note(std::vector<uint8_t>& out, std::string_view name, uint32_t type, std::span<const uint8_t> content) {
  append(out, Elf64_Nhdr{.n_namesz = static_cast<uint32_t>(name.size() + 1),
                         .n_descsz = static_cast<uint32_t>(content.size()),
                         .n_type = type});
  out.insert(out.end(), name.begin(), name.end());
  out.push_back(0);
  pad(out, 4);
  out.insert(out.end(), content.begin(), content.end());
  pad(out, 4);
}
template <typename T>
std::span<const uint8_t> bytes_of(const T& value) {
  return std::span(reinterpret_cast<const uint8_t*>(&value), sizeof value);
}

std::vector<uint8_t> notes(const std::vector<CoreVcpu>& vcpus, const KernelInfo* kernel) {
  std::vector<uint8_t> out;
  int32_t pid = 0;
  for (const CoreVcpu& vcpu : vcpus) {
    Prstatus status{};
    status.pid = ++pid;
    std::ranges::copy(vcpu.general, status.registers);
    append_note(out, "CORE", NT_PRSTATUS, bytes_of(status));
    FpRegisters fp{.vector = {}, .fpsr = vcpu.fpsr, .fpcr = vcpu.fpcr, .reserved = {}};
    std::memcpy(fp.vector, vcpu.vector.data(), sizeof fp.vector);
    append_note(out, "CORE", NT_FPREGSET, bytes_of(fp));
  }
  if (kernel != nullptr) {
    const std::string& text = kernel->text();
    append_note(out, "VMCOREINFO", 0, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  return out;
}

}  // namespace

std::vector<CoreImage> kernel_image(const GuestMemory& memory, const KernelInfo& kernel, const TranslateVirtual& translate) {
  const auto text = kernel.symbol("_stext");
  std::vector<CoreImage> image;
  if (!text) return image;
  const uint64_t first = *text & ~(kAlignment - 1);
  for (uint64_t va = first; va - first < kMaxImage; va += kAlignment) {
    const auto address = kernel.physical(va);
    if (!address || *address % kAlignment != 0 || translate(va) != address || memory.slice(*address, kAlignment).empty())
      continue;
    if (!image.empty() && image.back().va + image.back().size == va && image.back().address + image.back().size == *address) {
      image.back().size += kAlignment;
    } else if (image.size() < kMaxImageParts) {
      image.push_back({va, *address, kAlignment});
    } else {
      break;
    }
  }
  return image;
}

CoreLayout core_layout(const GuestMemory& memory, const std::vector<CoreVcpu>& vcpus, const KernelInfo* kernel,
                       const std::vector<CoreImage>& image) {
  const std::vector<uint8_t> note_bytes = notes(vcpus, kernel);
  const auto region_of = [&](const CoreImage& piece) {
    return std::ranges::find_if(memory.regions(), [&](const GuestRegion& r) {
      return piece.address >= r.base && piece.address - r.base < r.size && piece.size <= r.size - (piece.address - r.base);
    });
  };
  const auto in_memory = [&](const CoreImage& piece) { return region_of(piece) != memory.regions().end(); };
  const size_t headers = 1 + memory.regions().size() + static_cast<size_t>(std::ranges::count_if(image, in_memory));

  CoreLayout layout;
  Elf64_Ehdr elf{};
  std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
  elf.e_ident[EI_CLASS] = ELFCLASS64;
  elf.e_ident[EI_DATA] = ELFDATA2LSB;
  elf.e_ident[EI_VERSION] = EV_CURRENT;
  elf.e_type = ET_CORE;
  elf.e_machine = EM_AARCH64;
  elf.e_version = EV_CURRENT;
  elf.e_phoff = sizeof elf;
  elf.e_ehsize = sizeof elf;
  elf.e_phentsize = sizeof(Elf64_Phdr);
  elf.e_phnum = static_cast<Elf64_Half>(headers);
  append(layout.header, elf);

  const uint64_t notes_at = sizeof elf + headers * sizeof(Elf64_Phdr);
  append(layout.header, Elf64_Phdr{.p_type = PT_NOTE,
                                   .p_flags = PF_R,
                                   .p_offset = notes_at,
                                   .p_vaddr = 0,
                                   .p_paddr = 0,
                                   .p_filesz = note_bytes.size(),
                                   .p_memsz = note_bytes.size(),
                                   .p_align = 4});
  const auto add = [&](uint64_t offset, uint64_t va, GuestPhysAddr address, uint64_t size) {
    append(layout.header, Elf64_Phdr{.p_type = PT_LOAD,
                                     .p_flags = PF_R | PF_W | PF_X,
                                     .p_offset = offset,
                                     .p_vaddr = va,
                                     .p_paddr = address,
                                     .p_filesz = size,
                                     .p_memsz = size,
                                     .p_align = kNoAlignment});
  };
  layout.size = (notes_at + note_bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  for (const GuestRegion& region : memory.regions()) {
    layout.parts.push_back({region.base, region.size, layout.size});
    layout.size += region.size;
  }
  // The regions come first: crash takes all before the first segment's contents for headers, and reads it at once.
  for (const CoreLayout::Part& part : layout.parts) {
    const auto va = kernel != nullptr ? kernel->linear(part.address) : std::nullopt;
    add(part.offset, va.value_or(part.address), part.address, part.size);
  }
  for (const CoreImage& piece : image) {
    if (!in_memory(piece)) continue;
    const CoreLayout::Part& part = layout.parts[static_cast<size_t>(region_of(piece) - memory.regions().begin())];
    add(part.offset + (piece.address - part.address), piece.va, piece.address, piece.size);
  }
  layout.header.insert(layout.header.end(), note_bytes.begin(), note_bytes.end());
  return layout;
}

}  // namespace adyton::vmm::inspect
