// A payload or library that the user, or a root file system, brings.
#include <elf.h>

#include <cstring>
#include <vector>

#include "guest/image/elf_file.h"
#include "guest/image/kernel_modules.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton::image;
  std::vector<uint8_t> file(data, data + size);
  [[maybe_unused]] const auto foreign = foreign_elf(file);
  [[maybe_unused]] const auto as_is = parse_elf(file);
  if (size < sizeof(Elf64_Ehdr)) return 0;
  // The same bytes behind a header that leads to them.
  Elf64_Ehdr header;
  std::memcpy(&header, data, sizeof header);
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_AARCH64;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phoff %= size + 1;
  header.e_phnum %= 16;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shoff %= size + 1;
  std::memcpy(file.data(), &header, sizeof header);
  // Segments of the types that are looked into, at places inside the file.
  for (uint64_t offset = header.e_phoff, i = 0; i < header.e_phnum && offset + sizeof(Elf64_Phdr) <= size; ++i, offset += sizeof(Elf64_Phdr)) {
    Elf64_Phdr segment;
    std::memcpy(&segment, file.data() + offset, sizeof segment);
    segment.p_type %= 4;
    segment.p_offset %= size;
    segment.p_vaddr %= size;
    segment.p_filesz %= size - segment.p_offset + (data[0] % 8 == 0 ? 2 : 1);
    std::memcpy(file.data() + offset, &segment, sizeof segment);
  }
  [[maybe_unused]] const auto led = parse_elf(file);
  module_dependencies(file);
  return 0;
}
