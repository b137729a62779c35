#include "guest/image/elf_file.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "guest/image/test_support.h"

namespace adyton::image {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

Bytes hello() {
  auto file = read_file(ADYTON_TEST_HELLO_DYNAMIC);
  EXPECT_TRUE(file);
  return file ? *file : Bytes();
}

TEST(ElfFile, ReadsADynamicProgram) {
  const auto elf = parse_elf(hello());
  ASSERT_TRUE(elf) << elf.error().message;
  EXPECT_EQ(elf->machine, EM_AARCH64);
  EXPECT_EQ(elf->type, ET_DYN);  // Debian's toolchain links position-independent executables
  EXPECT_EQ(elf->interpreter, "/lib/ld-linux-aarch64.so.1");
  EXPECT_THAT(elf->needed, Contains("libstdc++.so.6"));
  EXPECT_THAT(elf->needed, Contains("libc.so.6"));
  EXPECT_THAT(elf->search_path, ::testing::ElementsAre("$ORIGIN/lib", "/opt/lib"));
}

TEST(ElfFile, ReadsAStaticProgram) {
  const auto file = read_file(ADYTON_TEST_HELLO_STATIC);
  ASSERT_TRUE(file);
  const auto elf = parse_elf(*file);
  ASSERT_TRUE(elf) << elf.error().message;
  EXPECT_EQ(elf->interpreter, "");
  EXPECT_TRUE(elf->needed.empty());
}

TEST(ElfFile, NamesForeignPrograms) {
  Bytes file = hello();
  EXPECT_EQ(foreign_elf(file), std::nullopt);
  file[EI_DATA] = ELFDATA2MSB;
  std::swap(file[18], file[19]);
  EXPECT_EQ(foreign_elf(file), "a big-endian AArch64 program");
  file = hello();
  file[18] = EM_X86_64;
  EXPECT_EQ(foreign_elf(file), "an x86-64 program");
  const auto parsed = parse_elf(file);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(parsed.error().message, "is an x86-64 program");
  EXPECT_EQ(foreign_elf(std::span(file).first(10)), "a truncated ELF file");
  EXPECT_EQ(foreign_elf(bytes_of("hello")), "not an ELF program");
}

TEST(ElfFile, TruncationAtEveryOffsetIsSeen) {
  const Bytes file = hello();
  // What the loader needs ends with the last segment; behind it are symbols and section headers.
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  uint64_t loaded_end = 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, file.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_LOAD) loaded_end = std::max(loaded_end, segment.p_offset + segment.p_filesz);
  }
  ASSERT_GT(loaded_end, 1000u);
  for (size_t size = 0; size < file.size(); ++size) {
    // A copy of exactly this size, so that AddressSanitizer sees a read behind it.
    if (size % 512 == 0 || size < 2048) {
      const Bytes copy(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(parse_elf(copy).has_value(), size >= loaded_end) << size;
      elf_section(copy, ".modinfo");
    } else {
      EXPECT_EQ(parse_elf(std::span(file).first(size)).has_value(), size >= loaded_end) << size;
    }
  }
}

TEST(ElfFile, RandomDamageIsParsedOrRefused) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Bytes original = hello();
  // Headers, program headers and the dynamic section are where damage matters.
  const std::span<const uint8_t> dynamic = elf_section(original, ".dynamic");
  ASSERT_FALSE(dynamic.empty());
  const auto dynamic_offset = static_cast<size_t>(dynamic.data() - original.data());
  for (int round = 0; round < 50000; ++round) {
    Bytes file = original;
    for (int change = 0; change < 4; ++change) {
      const size_t place = random() % 2 == 0 ? random() % 1024 : dynamic_offset + random() % dynamic.size();
      file[place] = random() % 4 == 0 ? 0xff : static_cast<uint8_t>(random());
    }
    const auto elf = parse_elf(file);
    if (!elf) {
      EXPECT_FALSE(elf.error().message.empty());
    }
    elf_section(file, ".modinfo");
  }
}

TEST(ElfFile, FindsSections) {
  const Bytes file = hello();
  const auto section = elf_section(file, ".interp");
  EXPECT_THAT(std::string(section.begin(), section.end()), HasSubstr("/lib/ld-linux-aarch64.so.1"));
  EXPECT_TRUE(elf_section(file, ".no-such-section").empty());
  EXPECT_TRUE(elf_section(bytes_of("short"), ".interp").empty());
}

TEST(ElfFile, TellsWhatALibraryDefines) {
  const Bytes library = *read_file("/usr/aarch64-linux-gnu/lib/libm.so.6");
  EXPECT_EQ(elf_defines(library, "cos"), true);
  EXPECT_EQ(elf_defines(library, "co"), false) << "whole names only";
  EXPECT_EQ(elf_defines(library, "malloc"), false) << "it uses it, somebody else defines it";
  EXPECT_EQ(elf_defines(std::span(library).first(4096), "cos"), std::nullopt);
  EXPECT_EQ(elf_defines({}, "cos"), std::nullopt);
}

}  // namespace
}  // namespace adyton::image
