#include "vmm/virtio/block.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "base/log/testing.h"
#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using testing::Buffer;
using testing::FakeDriver;
using testing::FakeIrq;

constexpr uint64_t kDiskBytes = 1 << 20;
constexpr uint8_t kOk = 0;
constexpr uint8_t kIoError = 1;
constexpr uint8_t kUnsupported = 2;
constexpr uint32_t kIn = 0;
constexpr uint32_t kOut = 1;
constexpr uint32_t kFlush = 4;
constexpr uint32_t kGetId = 8;
constexpr uint32_t kDiscard = 11;
constexpr uint32_t kWriteZeroes = 13;

struct BlockTest : ::testing::Test {
  BlockTest() {
    memory.add_ram(0x40000000, 32 << 20).value();
    file = ::memfd_create("disk", MFD_CLOEXEC);
    std::mt19937 random(1);
    contents.resize(kDiskBytes);
    for (auto& byte : contents) byte = static_cast<uint8_t>(random());
    EXPECT_EQ(::pwrite(file, contents.data(), contents.size(), 0), ssize_t{kDiskBytes});
  }
  ~BlockTest() override { ::close(file); }

  void open(const BlockDevice::Options& options = {}, uint64_t features = ~0ull) {
    auto device = BlockDevice::create(UniqueFd(::dup(file)), options).value();
    transport = MmioTransport::create(memory, irq, std::move(device)).value();
    driver = std::make_unique<FakeDriver>(memory, *transport, 0x40010000);
    ASSERT_TRUE(driver->initialize(features));
  }

  // Sends the request and returns its status; 0xff when it did not come back.
  uint8_t request(uint32_t type, uint64_t sector, const std::vector<Buffer>& data) {
    struct {
      uint32_t type, reserved;
      uint64_t sector;
    } header{type, 0, sector};
    std::vector<Buffer> buffers{
        {driver->place(std::span(reinterpret_cast<const uint8_t*>(&header), sizeof(header))), sizeof(header), false}};
    buffers.insert(buffers.end(), data.begin(), data.end());
    const uint8_t unset = 0xff;
    const auto status = driver->place(std::span(&unset, 1));
    buffers.push_back({status, 1, true});
    auto& queue = driver->queue(0);
    EXPECT_TRUE(queue.add(buffers, buffers.size() > 3 && (driver->features() & kFeatureIndirectDesc)));
    driver->kick(0);
    driver->settle();
    if (const auto used = queue.take_used()) last_written = used->written;
    return driver->bytes(status, 1)[0];
  }
  uint8_t read(uint64_t sector, uint32_t bytes, std::vector<uint8_t>& out) {
    const auto buffer = driver->allocate(bytes);
    const uint8_t status = request(kIn, sector, {{buffer, bytes, true}});
    out = driver->bytes(buffer, bytes);
    return status;
  }
  uint8_t write(uint64_t sector, const std::vector<uint8_t>& data) {
    return request(kOut, sector, {{driver->place(data), static_cast<uint32_t>(data.size()), false}});
  }
  uint8_t zero(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags) {
    struct {
      uint64_t sector;
      uint32_t sectors, flags;
    } segment{sector, sectors, flags};
    return request(
        type, 0,
        {{driver->place(std::span(reinterpret_cast<const uint8_t*>(&segment), sizeof(segment))), sizeof(segment), false}});
  }
  std::vector<uint8_t> disk(uint64_t offset, size_t bytes) const {
    std::vector<uint8_t> out(bytes);
    EXPECT_EQ(::pread(file, out.data(), bytes, static_cast<off_t>(offset)), static_cast<ssize_t>(bytes));
    return out;
  }

  GuestMemory memory;
  FakeIrq irq;
  int file = -1;
  std::vector<uint8_t> contents;
  std::unique_ptr<MmioTransport> transport;
  std::unique_ptr<FakeDriver> driver;
  uint32_t last_written = 0;
};

TEST_F(BlockTest, TellsItsShape) {
  open({.block_size = 4096});
  EXPECT_EQ(driver->config<uint64_t>(0), kDiskBytes / 512);
  EXPECT_EQ(driver->config<uint32_t>(12), 254u);   // seg_max
  EXPECT_EQ(driver->config<uint32_t>(20), 4096u);  // blk_size
  EXPECT_GT(driver->config<uint32_t>(36), 0u);     // max_discard_sectors
  EXPECT_GT(driver->config<uint32_t>(48), 0u);     // max_write_zeroes_sectors
}

TEST_F(BlockTest, LeavesOutAnIncompleteLastBlock) {
  ASSERT_EQ(::ftruncate(file, kDiskBytes + 700), 0);
  open();
  EXPECT_EQ(driver->config<uint64_t>(0), kDiskBytes / 512 + 1);
}

TEST_F(BlockTest, ReadsAndWrites) {
  for (const uint64_t without : {uint64_t{0}, kFeatureIndirectDesc, kFeatureEventIdx}) {
    open({}, ~without);
    std::vector<uint8_t> data;
    EXPECT_EQ(read(3, 1024, data), kOk);
    EXPECT_EQ(last_written, 1025u);
    EXPECT_EQ(data, disk(3 * 512, 1024));
    const std::vector<uint8_t> fresh(2048, static_cast<uint8_t>(without));
    EXPECT_EQ(write(100, fresh), kOk);
    EXPECT_EQ(last_written, 1u);
    EXPECT_EQ(disk(100 * 512, 2048), fresh);
    EXPECT_EQ(request(kFlush, 0, {}), kOk);
  }
}

TEST_F(BlockTest, ScattersAndGathers) {
  open();
  std::vector<Buffer> buffers;
  for (int i = 0; i < 40; ++i) buffers.push_back({driver->allocate(512, 4096), 512, true});
  EXPECT_EQ(request(kIn, 10, buffers), kOk);
  for (size_t i = 0; i < buffers.size(); ++i) EXPECT_EQ(driver->bytes(buffers[i].address, 512), disk((10 + i) * 512, 512));
  for (auto& buffer : buffers) buffer.writable = false;
  EXPECT_EQ(request(kOut, 500, buffers), kOk);
  EXPECT_EQ(disk(500 * 512, 40 * 512), disk(10 * 512, 40 * 512));
}

TEST_F(BlockTest, StatusMayShareADescriptorWithTheData) {
  open();
  struct {
    uint32_t type = kIn, reserved = 0;
    uint64_t sector = 1;
  } header;
  const auto at = driver->place(std::span(reinterpret_cast<const uint8_t*>(&header), sizeof(header)));
  const auto out = driver->allocate(513);
  driver->queue(0).add(std::vector<Buffer>{{at, 7, false}, {at + 7, 9, false}, {out, 513, true}});
  driver->kick(0);
  driver->settle();
  const auto used = driver->queue(0).take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->written, 513u);
  EXPECT_EQ(driver->bytes(out, 512), disk(512, 512));
  EXPECT_EQ(driver->bytes(out + 512, 1)[0], kOk);
}

TEST_F(BlockTest, RefusesWhatIsNotOnTheDisk) {
  open();
  const uint64_t end = kDiskBytes / 512;
  std::vector<uint8_t> data;
  EXPECT_EQ(read(end - 1, 512, data), kOk);
  for (const uint64_t sector : std::vector<uint64_t>{end, end - 1, ~0ull, ~0ull / 512, 1ull << 55, (1ull << 55) - 1}) {
    EXPECT_EQ(read(sector, 1024, data), kIoError) << sector;
    EXPECT_EQ(write(sector, data), kIoError) << sector;
    EXPECT_EQ(zero(kDiscard, sector, 2, 0), kIoError) << sector;
    EXPECT_EQ(zero(kWriteZeroes, sector, 2, 0), kIoError) << sector;
  }
  EXPECT_EQ(read(0, 100, data), kIoError);
  EXPECT_FALSE(driver->needs_reset());
  EXPECT_EQ(disk(0, kDiskBytes), contents);
}

TEST_F(BlockTest, AReadOnlyDiskRefusesEveryChange) {
  open({.read_only = true});
  EXPECT_TRUE(driver->features() & (1 << 5));
  std::vector<uint8_t> data;
  EXPECT_EQ(read(0, 512, data), kOk);
  EXPECT_EQ(write(0, data), kIoError);
  EXPECT_EQ(zero(kDiscard, 0, 1, 0), kIoError);
  EXPECT_EQ(zero(kWriteZeroes, 0, 1, 0), kIoError);
  EXPECT_EQ(request(kFlush, 0, {}), kOk);
  EXPECT_EQ(disk(0, kDiskBytes), contents);
}

TEST_F(BlockTest, DiscardsAndWritesZeroes) {
  open();
  const std::vector<uint8_t> zeroes(4096, 0);
  EXPECT_EQ(zero(kWriteZeroes, 8, 8, 0), kOk);
  EXPECT_EQ(disk(4096, 4096), zeroes);
  EXPECT_EQ(zero(kWriteZeroes, 16, 8, 1), kOk);
  EXPECT_EQ(disk(8192, 4096), zeroes);
  EXPECT_EQ(zero(kDiscard, 32, 8, 0), kOk);
  EXPECT_EQ(disk(16384, 4096), zeroes);
  EXPECT_EQ(disk(20480, 4096), std::vector<uint8_t>(contents.begin() + 20480, contents.begin() + 24576));
  EXPECT_EQ(zero(kDiscard, 0, 8, 1), kUnsupported);
  EXPECT_EQ(zero(kDiscard, 0, 8, 2), kUnsupported);
  EXPECT_EQ(zero(kWriteZeroes, 0, 8, 2), kUnsupported);
  EXPECT_EQ(zero(kWriteZeroes, 0, 0, 0), kOk);
  EXPECT_EQ(request(kDiscard, 0, {}), kIoError);
  EXPECT_EQ(request(kDiscard, 0, {{driver->allocate(17), 17, false}}), kIoError);
  EXPECT_EQ(request(kDiscard, 0, {{driver->allocate(16 * 17), 16 * 17, false}}), kIoError);
}

TEST_F(BlockTest, TellsItsSerialNumber) {
  open({.serial = "disk-7"});
  const auto out = driver->allocate(20);
  EXPECT_EQ(request(kGetId, 0, {{out, 20, true}}), kOk);
  const auto text = driver->bytes(out, 20);
  EXPECT_STREQ(reinterpret_cast<const char*>(text.data()), "disk-7");
  EXPECT_EQ(request(kGetId, 0, {{out, 19, true}}), kIoError);
}

TEST_F(BlockTest, UnknownRequestsAreUnsupported) {
  open();
  EXPECT_EQ(request(2, 0, {}), kUnsupported);
  EXPECT_EQ(request(0xffffffff, 0, {}), kUnsupported);
}

TEST_F(BlockTest, AFileThatShrankIsAnInputError) {
  open();
  ASSERT_EQ(::ftruncate(file, 4096), 0);
  std::vector<uint8_t> data;
  EXPECT_EQ(read(8, 512, data), kIoError);
  EXPECT_EQ(read(7, 1024, data), kIoError);
  EXPECT_EQ(read(7, 512, data), kOk);
}

TEST_F(BlockTest, AGuestThatRepeatsWhatTheHostCannotDoWritesABoundedLog) {
  const log::CapturedLog log;
  open({.serial = "root\n\x1b"});
  ASSERT_EQ(::ftruncate(file, 4096), 0);
  std::vector<uint8_t> data;
  for (int i = 0; i < 500; ++i) ASSERT_EQ(read(8, 512, data), kIoError);
  const auto lines = log.lines();
  ASSERT_GE(lines.size(), log::RateLimit::kBurst);
  EXPECT_LE(lines.size(), log.most_lines_of_a_limit());
  EXPECT_NE(lines[0].find(R"(disk="root\n\x1b": the host cannot read the file of a disk)"), std::string::npos) << lines[0];
}

TEST_F(BlockTest, AFullHostDiskIsAnInputError) {
  open();
  // The limit on file sizes stands in for a full disk: writing beyond it fails.
  ASSERT_EQ(::ftruncate(file, 4096), 0);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(write(64, std::vector<uint8_t>(512, 1)), kIoError);
  EXPECT_EQ(write(8, std::vector<uint8_t>(512, 1)), kOk);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, SIG_DFL);
  EXPECT_FALSE(driver->needs_reset());
}

TEST_F(BlockTest, ARequestWithoutRoomForItsStatusAsksForAReset) {
  open();
  driver->queue(0).add(std::vector<Buffer>{{driver->allocate(16), 16, false}});
  driver->kick(0);
  driver->settle();
  EXPECT_TRUE(driver->needs_reset());
}

TEST_F(BlockTest, ATruncatedHeaderIsAnInputError) {
  open();
  const auto status = driver->allocate(1);
  driver->queue(0).add(std::vector<Buffer>{{driver->allocate(15), 15, false}, {status, 1, true}});
  driver->kick(0);
  driver->settle();
  ASSERT_TRUE(driver->queue(0).take_used());
  EXPECT_EQ(driver->bytes(status, 1)[0], kIoError);
}

TEST_F(BlockTest, ServesAFullQueue) {
  open();
  struct {
    uint32_t type = kIn, reserved = 0;
    uint64_t sector = 0;
  } header;
  const auto at = driver->place(std::span(reinterpret_cast<const uint8_t*>(&header), sizeof(header)));
  const auto out = driver->allocate(513);
  auto& queue = driver->queue(0);
  int added = 0;
  while (queue.add(std::vector<Buffer>{{at, 16, false}, {out, 513, true}}, true)) ++added;
  EXPECT_EQ(added, 256);
  driver->kick(0);
  driver->settle();
  int returned = 0;
  while (queue.take_used()) ++returned;
  EXPECT_EQ(returned, 256);
}

TEST(BlockDeviceCreate, RefusesDescriptorsThatAreNoDisk) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd writer(pipe_ends[1]);
  EXPECT_FALSE(BlockDevice::create(UniqueFd(pipe_ends[0]), {}));
  EXPECT_FALSE(BlockDevice::create(UniqueFd(), {}));
  EXPECT_FALSE(BlockDevice::create(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), {}));
  EXPECT_TRUE(BlockDevice::create(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), {.read_only = true}));
  EXPECT_FALSE(
      BlockDevice::create(UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), {.read_only = true, .block_size = 1000}));
}

}  // namespace
}  // namespace adyton::vmm::virtio
