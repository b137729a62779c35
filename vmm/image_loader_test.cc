#include "vmm/image_loader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/unique_fd.h"

namespace adyton::vmm {
namespace {

using ::testing::HasSubstr;

constexpr GuestPhysAddr kBase = 0x4000'0000;
constexpr uint64_t kRam = 16ull << 20;

template <typename T>
void put(std::vector<uint8_t>& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// An Image with a recognisable body.
std::vector<uint8_t> make_image(size_t size = 100'000, uint64_t text_offset = 0, uint64_t image_size = 1 << 20,
                                uint64_t flags = 0xa) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  put(bytes, 8, text_offset);
  put(bytes, 16, image_size);
  put(bytes, 24, flags);
  std::memcpy(bytes.data() + 56, "ARM\x64", 4);
  return bytes;
}

std::vector<uint8_t> gzip(std::span<const uint8_t> plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::vector<uint8_t> out(deflateBound(&stream, plain.size()));
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<uint8_t> zstd(std::span<const uint8_t> plain) {
  std::vector<uint8_t> out(ZSTD_compressBound(plain.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

std::vector<uint8_t> zboot(std::span<const uint8_t> payload, const char* compression) {
  std::vector<uint8_t> out(512 + payload.size() + 1000, 0xcc);  // with the PE sections behind it
  std::fill_n(out.begin(), 512, 0);
  std::memcpy(out.data(), "MZ\0\0zimg", 8);
  put<uint32_t>(out, 8, 512);
  put<uint32_t>(out, 12, static_cast<uint32_t>(payload.size()));
  std::strncpy(reinterpret_cast<char*>(out.data()) + 24, compression, 32);
  std::ranges::copy(payload, out.begin() + 512);
  return out;
}

class ImageLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    memory_ = std::make_unique<GuestMemory>();
    ASSERT_TRUE(memory_->add_ram(kBase, kRam));
  }
  const GuestRegion& ram() { return memory_->regions()[0]; }
  Result<LoadedKernel> load(const std::vector<uint8_t>& file) { return load_kernel(MemorySource(file), ram()); }
  std::string error(const std::vector<uint8_t>& file) {
    auto loaded = load(file);
    EXPECT_FALSE(loaded);
    return loaded ? "" : loaded.error().message;
  }
  void expect_loaded(const std::vector<uint8_t>& file, const std::vector<uint8_t>& image, uint64_t offset) {
    SetUp();
    auto loaded = load(file);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->entry, kBase + offset);
    EXPECT_EQ(loaded->end, kBase + offset + (1 << 20));
    EXPECT_EQ(std::memcmp(ram().host + offset, image.data(), image.size()), 0);
    EXPECT_EQ(ram().host[offset + image.size()], 0) << "nothing behind it";
  }
  std::unique_ptr<GuestMemory> memory_;
};

TEST_F(ImageLoaderTest, LoadsEveryPacking) {
  for (uint64_t offset : {0ull, 0x80000ull}) {
    auto image = make_image(600'001, offset);
    expect_loaded(image, image, offset);
    expect_loaded(gzip(image), image, offset);
    expect_loaded(zstd(image), image, offset);
    expect_loaded(zboot(gzip(image), "gzip"), image, offset);
    expect_loaded(zboot(zstd(image), "zstd"), image, offset);
    expect_loaded(zboot(zstd(image), "zstd22"), image, offset);
  }
}

TEST_F(ImageLoaderTest, OldHeadersHaveNoSize) {
  auto image = make_image(5000, 0x1234567, 0, 0);
  auto loaded = load(image);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->entry, kBase + 0x80000) << "text_offset is only valid with a size";
  EXPECT_GT(loaded->end, loaded->entry + image.size());
}

TEST_F(ImageLoaderTest, SaysWhatIsWrong) {
  EXPECT_THAT(error({}), HasSubstr("too small"));
  EXPECT_THAT(error(std::vector<uint8_t>(63, 0)), HasSubstr("too small"));
  EXPECT_THAT(error(std::vector<uint8_t>(4096, 0x20)), HasSubstr("not an arm64 kernel Image"));
  auto elf = std::vector<uint8_t>(4096);
  std::memcpy(elf.data(),
              "\x7f"
              "ELF",
              4);
  EXPECT_THAT(error(elf), HasSubstr("ELF"));
  EXPECT_THAT(error(make_image(4096, 0, 1 << 20, 0xb)), HasSubstr("big-endian"));
  EXPECT_THAT(error(make_image(4096, 0x20'0000)), HasSubstr("text offset"));
  EXPECT_THAT(error(make_image(4096, 0, 17 << 20)), HasSubstr("needs 17 MiB of memory, but the VM has 16 MiB"));
  EXPECT_THAT(error(make_image(4096, 0, ~0ull)), HasSubstr("memory"));
  EXPECT_THAT(error(make_image(4096, 0x80000, ~0ull)), HasSubstr("memory"));
  EXPECT_THAT(error(make_image(kRam + 1)), HasSubstr("does not fit"));
  EXPECT_THAT(error(zboot(gzip(make_image()), "lz4")), HasSubstr("\"lz4\"; gzip and zstd"));
  EXPECT_THAT(error(zboot(gzip(make_image()), "\x1b[2J")), HasSubstr("\"?[2J\""));
}

TEST_F(ImageLoaderTest, DecompressionIsBounded) {
  std::vector<uint8_t> bomb = make_image(kRam * 4);
  std::fill(bomb.begin() + 64, bomb.end(), 0);
  EXPECT_THAT(error(gzip(bomb)), HasSubstr("does not fit"));
  SetUp();
  EXPECT_THAT(error(zstd(bomb)), HasSubstr("does not fit"));
}

TEST_F(ImageLoaderTest, DamagedStreamsAreErrors) {
  auto image = make_image(300'000);
  for (const auto& packed : {gzip(image), zstd(image)}) {
    for (size_t cut : {70ul, packed.size() / 2, packed.size() - 1}) {
      SetUp();
      EXPECT_FALSE(load({packed.begin(), packed.begin() + static_cast<ptrdiff_t>(cut)})) << cut;
    }
  }
  auto bad = zboot(gzip(image), "gzip");
  put<uint32_t>(bad, 8, 0xffffffff);
  EXPECT_THAT(error(bad), HasSubstr("outside"));
  put<uint32_t>(bad, 8, 512);
  put<uint32_t>(bad, 12, 0xffffffff);
  EXPECT_THAT(error(bad), HasSubstr("outside"));
}

TEST_F(ImageLoaderTest, SurvivesRandomDamage) {
  std::random_device device;
  unsigned seed = device();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  auto image = make_image(20'000);
  std::vector<std::vector<uint8_t>> files = {image, gzip(image), zstd(image), zboot(gzip(image), "gzip"),
                                             zboot(zstd(image), "zstd")};
  for (int i = 0; i < 2000; ++i) {
    auto file = files[random() % files.size()];
    for (unsigned n = 1 + random() % 8; n; --n)
      file[random() % (random() % 2 ? 64 : file.size())] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) file.resize(random() % file.size());
    (void)load(file);
  }
}

TEST_F(ImageLoaderTest, FlatFirmwareAndInitrd) {
  std::vector<uint8_t> bytes(1000, 0x5a);
  auto flat = load_flat(MemorySource(bytes), ram());
  ASSERT_TRUE(flat);
  EXPECT_EQ(flat->entry, kBase + kFlatOffset);
  EXPECT_EQ(ram().host[kFlatOffset + 999], 0x5a);
  auto firmware = load_firmware(MemorySource(bytes), ram());
  ASSERT_TRUE(firmware);
  EXPECT_EQ(firmware->entry, kBase);
  EXPECT_FALSE(load_flat(MemorySource({}), ram()));
  EXPECT_FALSE(load_firmware(MemorySource({}), ram()));
  std::vector<uint8_t> big(kRam + 1);
  EXPECT_FALSE(load_flat(MemorySource(big), ram()));
  EXPECT_FALSE(load_firmware(MemorySource(big), ram()));

  EXPECT_TRUE(load_initrd(MemorySource(bytes), ram(), kBase + kRam - 1000));
  EXPECT_EQ(ram().host[kRam - 1], 0x5a);
  auto late = load_initrd(MemorySource(bytes), ram(), kBase + kRam - 999);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("initrd"));
  EXPECT_FALSE(load_initrd(MemorySource(bytes), ram(), kBase + 2 * kRam));
  EXPECT_FALSE(load_initrd(MemorySource(bytes), ram(), 0));
}

TEST_F(ImageLoaderTest, FilesMayShrinkWhileTheyAreRead) {
  UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
  auto image = make_image();
  ASSERT_EQ(::write(fd.get(), image.data(), image.size()), static_cast<ssize_t>(image.size()));
  auto source = FileSource::open(fd.get());
  ASSERT_TRUE(source);
  EXPECT_EQ(source->size(), image.size());
  ASSERT_TRUE(load_kernel(*source, ram()));
  ASSERT_EQ(::ftruncate(fd.get(), 5000), 0);
  auto loaded = load_kernel(*source, ram());
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("ends too early"));
  int pipes[2];
  ASSERT_EQ(::pipe2(pipes, O_CLOEXEC), 0);
  UniqueFd from(pipes[0]), to(pipes[1]);
  EXPECT_FALSE(FileSource::open(from.get()));
  UniqueFd directory(::open("/", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(FileSource::open(directory.get()));
  EXPECT_FALSE(FileSource::open(-1));
}

}  // namespace
}  // namespace adyton::vmm
