// The stream against GNU tar, in both directions, and against bytes that are none.
#include "guest/tree/tar.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>

#include "base/unique_fd.h"

namespace adyton::tree {
namespace {

using ::testing::HasSubstr;

UniqueFd memory(std::span<const uint8_t> bytes = {}) {
  UniqueFd fd(::memfd_create("stream", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::vector<uint8_t> bytes_of(const UniqueFd& fd) {
  std::vector<uint8_t> bytes(static_cast<size_t>(::lseek(fd.get(), 0, SEEK_END)));
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// A folder, a sparse file with a long name, a link.
std::vector<uint8_t> sample() {
  const UniqueFd fd = memory();
  TarWriter writer(fd.get());
  EXPECT_TRUE(writer.begin({.kind = Entry::Kind::kFolder, .name = ".", .mode = 0750, .mtime = 77}));
  const Entry sparse{.kind = Entry::Kind::kFile,
                     .name = "./" + std::string(150, 'n'),
                     .mode = 0640,
                     .mtime = 1'600'000'000,
                     .mtime_ns = 5,
                     .size = 1 << 20,
                     .link = {},
                     .data = {{.offset = 4096, .size = 3}, {.offset = 70000, .size = 2}}};
  EXPECT_TRUE(writer.begin(sparse));
  EXPECT_TRUE(writer.data(std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e'}));
  EXPECT_TRUE(writer.begin({.kind = Entry::Kind::kLink, .name = "./link", .link = std::string(200, 'l')}));
  EXPECT_TRUE(writer.begin({.kind = Entry::Kind::kFile, .name = "./empty"}));
  EXPECT_TRUE(writer.finish());
  return bytes_of(fd);
}

TEST(Tar, ReadsWhatItWrote) {
  const UniqueFd fd = memory(sample());
  TarReader reader(fd.get());
  auto entry = reader.next();
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->kind, Entry::Kind::kFolder);
  EXPECT_EQ((*entry)->mode, 0750u);
  EXPECT_EQ((*entry)->mtime, 77);
  entry = reader.next();
  ASSERT_TRUE(entry && *entry) << entry.error().message;
  EXPECT_EQ((*entry)->name, "./" + std::string(150, 'n'));
  EXPECT_EQ((*entry)->size, 1u << 20);
  EXPECT_EQ((*entry)->mtime_ns, 5u);
  ASSERT_EQ((*entry)->data.size(), 2u);
  EXPECT_EQ((*entry)->data[1], (Extent{.offset = 70000, .size = 2}));
  std::array<uint8_t, 4> some{};
  EXPECT_EQ(reader.data(some), 4u);
  EXPECT_EQ(some[3], 'd');
  entry = reader.next();  // the last byte is passed over
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->link, std::string(200, 'l'));
  entry = reader.next();
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->size, 0u);
  entry = reader.next();
  ASSERT_TRUE(entry);
  EXPECT_FALSE(*entry);
}

TEST(Tar, RefusesWhatIsCutOff) {
  const std::vector<uint8_t> good = sample();
  for (size_t size = 0; size + 1024 < good.size(); size += 64) {
    const UniqueFd fd = memory(std::span(good).first(size));
    TarReader reader(fd.get());
    for (;;) {
      const auto entry = reader.next();
      if (!entry) break;
      ASSERT_TRUE(*entry) << size;
    }
  }
}

TEST(Tar, SurvivesAnyBytes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::vector<uint8_t> good = sample();
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint8_t> bad = good;
    for (int i = 0; i < 2; ++i) bad[random() % bad.size()] = static_cast<uint8_t>(random());
    // Past the checksum, which would find most.
    for (size_t block = 0; block + 512 <= bad.size(); block += 512) {
      if (std::memcmp(bad.data() + block + 257, "ustar", 5) != 0) continue;
      uint32_t sum = 0;
      for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : bad[block + i];
      std::snprintf(reinterpret_cast<char*>(bad.data()) + block + 148, 8, "%06o", sum);
    }
    const UniqueFd fd = memory(bad);
    TarReader reader(fd.get());
    for (int i = 0; i < 20; ++i) {
      const auto entry = reader.next();
      if (!entry || !*entry) break;
    }
  }
}

TEST(Tar, RefusesWhatItDoesNotKnow) {
  std::vector<uint8_t> fifo = sample();
  fifo[156] = '6';
  fifo[153] = fifo[153] == '7' ? '0' : static_cast<uint8_t>(fifo[153] + 1);
  const UniqueFd fd = memory(fifo);
  EXPECT_THAT(TarReader(fd.get()).next().error().message, HasSubstr("neither a file"));
}

}  // namespace
}  // namespace adyton::tree
