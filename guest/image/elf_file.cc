#include "guest/image/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

namespace adyton::image {
namespace {

using ByteSpan = std::span<const uint8_t>;

constexpr size_t kMaxNeeded = 4096;

ByteSpan slice(ByteSpan file, uint64_t offset, uint64_t size) {
  if (offset > file.size() || size > file.size() - offset) return {};
  return file.subspan(offset, size);
}

template <typename T>
std::optional<T> load(ByteSpan bytes, uint64_t offset) {
  const ByteSpan place = slice(bytes, offset, sizeof(T));
  if (place.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, place.data(), sizeof(T));
  return value;
}

// The NUL-terminated string at `offset` of `table`.
std::optional<std::string> load_string(ByteSpan table, uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const ByteSpan rest = table.subspan(offset);
  const void* end = std::memchr(rest.data(), 0, rest.size());
  if (!end) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(rest.data()), static_cast<size_t>(static_cast<const uint8_t*>(end) - rest.data()));
}

std::unexpected<Error> truncated(std::string_view what) { return fail(ErrorCode::kCorrupt, fmt::format("is truncated: {} lies beyond its end", what)); }
std::unexpected<Error> damaged(std::string_view what) { return fail(ErrorCode::kCorrupt, fmt::format("is damaged: {}", what)); }

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

class Parser {
 public:
  explicit Parser(ByteSpan file) : file_(file) {}

  Result<ElfFile> parse() {
    const auto header = load<Elf64_Ehdr>(file_, 0);
    if (!header) return truncated("the ELF header");
    elf_.type = header->e_type;
    elf_.machine = header->e_machine;
    elf_.entry = header->e_entry;
    if (header->e_phnum != 0 && header->e_phentsize != sizeof(Elf64_Phdr)) return damaged("its program headers have an unknown size");
    for (uint16_t i = 0; i < header->e_phnum; ++i) {
      // e_phoff comes from the file; the sum may wrap.
      uint64_t offset = 0;
      if (__builtin_add_overflow(header->e_phoff, uint64_t{i} * sizeof(Elf64_Phdr), &offset)) return truncated("its program header table");
      const auto segment = load<Elf64_Phdr>(file_, offset);
      if (!segment) return truncated("its program header table");
      segments_.push_back(*segment);
    }
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_LOAD && segment.p_type != PT_INTERP && segment.p_type != PT_DYNAMIC) continue;
      if (segment.p_filesz != 0 && slice(file_, segment.p_offset, segment.p_filesz).empty()) return truncated("a segment");
    }
    TRY(parse_interpreter());
    TRY(parse_dynamic());
    return std::move(elf_);
  }

 private:
  Result<void> parse_interpreter() {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_INTERP) continue;
      const auto text = load_string(slice(file_, segment.p_offset, segment.p_filesz), 0);
      // PATH_MAX, as the kernel's loader bounds it.
      if (!text || text->size() < 1 || text->size() >= 4096) return damaged("its program interpreter is not a path");
      elf_.interpreter = *text;
      return {};
    }
    return {};
  }

  // The bytes at a virtual address, to the end of its segment's file contents.
  ByteSpan at_address(uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
        return slice(file_, segment.p_offset, segment.p_filesz).subspan(address - segment.p_vaddr);
      }
    }
    return {};
  }

  Result<void> parse_dynamic() {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_DYNAMIC) return parse_dynamic(slice(file_, segment.p_offset, segment.p_filesz));
    }
    return {};
  }

  Result<void> parse_dynamic(ByteSpan table) {
    ByteSpan strings;
    uint64_t strings_size = 0;
    const auto each = [&](const auto& visit) -> Result<void> {
      for (uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
        const auto entry = load<Elf64_Dyn>(table, offset);
        if (!entry || entry->d_tag == DT_NULL) return {};
        TRY(visit(*entry));
      }
    };
    TRY(each([&](const Elf64_Dyn& entry) -> Result<void> {
      if (entry.d_tag == DT_STRTAB) strings = at_address(entry.d_un.d_ptr);
      if (entry.d_tag == DT_STRSZ) strings_size = entry.d_un.d_val;
      return {};
    }));
    strings = strings.first(std::min<uint64_t>(strings.size(), strings_size));
    std::string runpath;
    std::string rpath;
    TRY(each([&](const Elf64_Dyn& entry) -> Result<void> {
      if (entry.d_tag == DT_FLAGS_1) elf_.is_pie = (entry.d_un.d_val & DF_1_PIE) != 0;
      if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME && entry.d_tag != DT_RUNPATH && entry.d_tag != DT_RPATH) return {};
      const auto text = load_string(strings, entry.d_un.d_val);
      if (!text) return damaged("a name in its dynamic section lies outside the string table");
      if (entry.d_tag == DT_NEEDED) {
        // A name becomes part of a path on the host.
        if (text->empty() || *text == "." || *text == "..") return damaged("it needs a library with an impossible name");
        if (elf_.needed.size() == kMaxNeeded) return damaged("it needs too many libraries");
        elf_.needed.push_back(*text);
      }
      if (entry.d_tag == DT_SONAME) elf_.soname = *text;
      if (entry.d_tag == DT_RUNPATH) runpath = *text;
      if (entry.d_tag == DT_RPATH) rpath = *text;
      return {};
    }));
    elf_.search_path = split_path(runpath.empty() ? rpath : runpath);
    return {};
  }

  ByteSpan file_;
  std::vector<Elf64_Phdr> segments_;
  ElfFile elf_;
};

}  // namespace

bool is_elf(ByteSpan file) { return file.size() >= SELFMAG && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0; }

std::optional<std::string> foreign_elf(ByteSpan file) {
  // e_machine stands at the same place in both classes.
  if (!is_elf(file)) return "not an ELF program";
  if (file.size() < 20) return "a truncated ELF file";
  const bool big_endian = file[EI_DATA] == ELFDATA2MSB;
  const unsigned machine = big_endian ? file[18] << 8 | file[19] : file[19] << 8 | file[18];
  const bool narrow = file[EI_CLASS] == ELFCLASS32;
  if (machine == EM_AARCH64 && !big_endian && file[EI_CLASS] == ELFCLASS64 && file[EI_DATA] == ELFDATA2LSB) return std::nullopt;
  switch (machine) {
    case EM_AARCH64: return big_endian ? "a big-endian AArch64 program" : "an AArch64 program with 32-bit pointers (ILP32)";
    case EM_X86_64: return narrow ? "an x86-64 program with 32-bit pointers (x32)" : "an x86-64 program";
    case EM_386: return "a 32-bit x86 program";
    case EM_ARM: return "a 32-bit Arm program";
    case EM_RISCV: return "a RISC-V program";
    case EM_PPC64: return "a 64-bit POWER program";
    case EM_S390: return "an IBM Z program";
    case EM_MIPS: return "a MIPS program";
    default: return fmt::format("an ELF program for another processor (machine number {})", machine);
  }
}

Result<ElfFile> parse_elf(ByteSpan file) {
  if (auto foreign = foreign_elf(file)) return fail(ErrorCode::kUnsupported, "is " + *foreign);
  return Parser(file).parse();
}

ByteSpan elf_section(ByteSpan file, std::string_view name) {
  const auto header = load<Elf64_Ehdr>(file, 0);
  if (!header || header->e_shentsize != sizeof(Elf64_Shdr)) return {};
  const auto section = [&](uint64_t index) -> std::optional<Elf64_Shdr> {
    uint64_t offset = 0;
    if (__builtin_add_overflow(header->e_shoff, index * sizeof(Elf64_Shdr), &offset)) return std::nullopt;
    return load<Elf64_Shdr>(file, offset);
  };
  const auto names = section(header->e_shstrndx);
  if (!names) return {};
  const ByteSpan table = slice(file, names->sh_offset, names->sh_size);
  for (uint16_t i = 0; i < header->e_shnum; ++i) {
    const auto entry = section(i);
    if (!entry) return {};
    if (entry->sh_type != SHT_NOBITS && load_string(table, entry->sh_name) == name) return slice(file, entry->sh_offset, entry->sh_size);
  }
  return {};
}

std::optional<bool> elf_defines(ByteSpan file, std::string_view symbol) {
  const ByteSpan symbols = elf_section(file, ".dynsym");
  const ByteSpan strings = elf_section(file, ".dynstr");
  if (symbols.empty() || strings.empty()) return std::nullopt;
  for (uint64_t offset = 0; const auto entry = load<Elf64_Sym>(symbols, offset); offset += sizeof(Elf64_Sym)) {
    if (entry->st_shndx == SHN_UNDEF || entry->st_name >= strings.size()) continue;
    const ByteSpan rest = strings.subspan(entry->st_name);
    if (rest.size() > symbol.size() && std::memcmp(rest.data(), symbol.data(), symbol.size()) == 0 && rest[symbol.size()] == 0) return true;
  }
  return false;
}

}  // namespace adyton::image
