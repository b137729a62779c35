// Reads what the image builder needs to know from a 64-bit little-endian ELF file (System V gABI). The file is hostile input.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace adyton::image {

struct ElfFile {
  uint16_t type = 0;     // ET_EXEC, ET_DYN, ET_REL
  uint16_t machine = 0;  // EM_AARCH64
  uint64_t entry = 0;
  std::string interpreter;              // PT_INTERP; empty when there is none
  std::vector<std::string> needed;      // DT_NEEDED, in order
  std::string soname;                   // DT_SONAME
  bool is_pie = false;                  // DF_1_PIE
  std::vector<std::string> search_path; // DT_RUNPATH, or else DT_RPATH, split at the colons; may hold $ORIGIN
};

bool is_elf(std::span<const uint8_t> file);

// What kind of program `file` is when it is not one for AArch64 Linux ("an x86-64 program"); nullopt when it is 64-bit
// little-endian AArch64 ELF. Looks at the first 20 bytes.
std::optional<std::string> foreign_elf(std::span<const uint8_t> file);

// kCorrupt, with a predicate as message ("is truncated: ..."), when a header, a segment or a string lies outside the file.
Result<ElfFile> parse_elf(std::span<const uint8_t> file);

// Whether the file's dynamic symbol table defines `symbol`; nullopt where it has no sections that could tell.
std::optional<bool> elf_defines(std::span<const uint8_t> file, std::string_view symbol);

// The contents of the first section called `name`; empty when there is none or the section table is damaged.
std::span<const uint8_t> elf_section(std::span<const uint8_t> file, std::string_view name);

}  // namespace adyton::image
