#include "vmm/virtio/block.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log/logger.h"

namespace adyton::vmm::virtio {
namespace {

// Section 5.2.3.
constexpr uint64_t kFeatureSegMax = 1ull << 2;
constexpr uint64_t kFeatureReadOnly = 1ull << 5;
constexpr uint64_t kFeatureBlkSize = 1ull << 6;
constexpr uint64_t kFeatureFlush = 1ull << 9;
constexpr uint64_t kFeatureDiscard = 1ull << 13;
constexpr uint64_t kFeatureWriteZeroes = 1ull << 14;

// Section 5.2.6: request types.
constexpr uint32_t kIn = 0;
constexpr uint32_t kOut = 1;
constexpr uint32_t kFlush = 4;
constexpr uint32_t kGetId = 8;
constexpr uint32_t kDiscard = 11;
constexpr uint32_t kWriteZeroes = 13;
constexpr uint32_t kUnmapFlag = 1;
constexpr size_t kIdBytes = 20;

struct RequestHeader {
  uint32_t type;
  uint32_t reserved;
  uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);

struct ZeroSegment {
  uint64_t sector;
  uint32_t sectors;
  uint32_t flags;
};
static_assert(sizeof(ZeroSegment) == 16);

// Section 5.2.4.
struct [[gnu::packed]] Config {
  uint64_t capacity;
  uint32_t size_max;
  uint32_t seg_max;
  uint16_t cylinders;
  uint8_t heads;
  uint8_t sectors;
  uint32_t blk_size;
  uint8_t physical_block_exp;
  uint8_t alignment_offset;
  uint16_t min_io_size;
  uint32_t opt_io_size;
  uint8_t writeback;
  uint8_t unused0;
  uint16_t num_queues;
  uint32_t max_discard_sectors;
  uint32_t max_discard_seg;
  uint32_t discard_sector_alignment;
  uint32_t max_write_zeroes_sectors;
  uint32_t max_write_zeroes_seg;
  uint8_t write_zeroes_may_unmap;
  uint8_t unused1[3];
};
static_assert(sizeof(Config) == 60);

// A discard is quick wherever it works; zeroes may have to be written, so one request is bounded to what a disk writes in a
// moment.
constexpr uint32_t kMaxDiscardSectors = 4 << 20;       // 2 GiB
constexpr uint32_t kMaxWriteZeroesSectors = 64 << 10;  // 32 MiB
constexpr uint32_t kMaxZeroSegments = 16;

// A queue of 256 descriptors: the header and the status need one each.
constexpr uint32_t kSegMax = 254;

const log::Logger kLog("disk");

int retry_fallocate(int fd, int mode, uint64_t offset, uint64_t bytes) {
  int result;
  do {
    result = ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> BlockDevice::create(UniqueFd disk, const Options& options) {
  if (options.block_size != 512 && options.block_size != 4096) {
    return fail(ErrorCode::kInvalidArgument, "a disk's block size is 512 or 4096 bytes");
  }
  struct stat status{};
  if (::fstat(disk.get(), &status) != 0) return fail_errno("look at a disk");
  uint64_t bytes = 0;
  const bool is_block_device = S_ISBLK(status.st_mode);
  if (is_block_device) {
    if (::ioctl(disk.get(), BLKGETSIZE64, &bytes) != 0) return fail_errno("get the size of a block device");
  } else if (S_ISREG(status.st_mode)) {
    bytes = static_cast<uint64_t>(status.st_size);
  } else {
    return fail(ErrorCode::kInvalidArgument, "a disk must be a regular file or a block device");
  }
  const int flags = ::fcntl(disk.get(), F_GETFL);
  if (flags < 0) return fail_errno("look at a disk");
  const int mode = flags & O_ACCMODE;
  if (mode == O_WRONLY || (mode == O_RDONLY && !options.read_only)) {
    return fail(ErrorCode::kPermission,
                "a disk is not open for what it shall do: open it for reading and writing, or make it read-only");
  }
  return std::unique_ptr<BlockDevice>(
      new BlockDevice(std::move(disk), options, bytes / options.block_size * options.block_size, is_block_device));
}

uint64_t BlockDevice::features() const {
  const uint64_t common = kFeatureSegMax | kFeatureBlkSize | kFeatureFlush;
  return common | (options_.read_only ? kFeatureReadOnly : kFeatureDiscard | kFeatureWriteZeroes);
}

void BlockDevice::read_config(uint64_t offset, std::span<uint8_t> out) const {
  Config config{};
  config.capacity = capacity_ / kSectorSize;
  config.seg_max = kSegMax;
  config.blk_size = options_.block_size;
  config.num_queues = 1;
  if (!options_.read_only) {
    config.max_discard_sectors = kMaxDiscardSectors;
    config.max_discard_seg = kMaxZeroSegments;
    config.discard_sector_alignment = options_.block_size / kSectorSize;
    config.max_write_zeroes_sectors = kMaxWriteZeroesSectors;
    config.max_write_zeroes_seg = kMaxZeroSegments;
    config.write_zeroes_may_unmap = 1;
  }
  read_config_object(config, offset, out);
}

void BlockDevice::activate(uint64_t driver_features, std::span<Virtqueue> queues) {
  queue_ = &queues[0];
  write_through_ = !(driver_features & kFeatureFlush);
}

void BlockDevice::reset() { queue_ = nullptr; }

void BlockDevice::queue_notified(uint16_t) {
  if (queue_) serve();
}

void BlockDevice::serve() {
  // As many requests as the queue holds, then the loop's other work; a reset, say.
  uint32_t budget = queue_->size();
  do {
    queue_->disable_doorbells();
    while (budget > 0 && queue_->pop(chain_)) {
      --budget;
      if (!serve_request(chain_)) {
        host().fail_device("a block request without room for its status");
        queue_->disable();
        return;
      }
      // Every few requests, so that the driver refills the queue while the rest are served.
      if (budget % 16 == 0) host().signal(*queue_);
    }
    host().signal(*queue_);
    if (budget == 0) {
      host().loop().post([this] {
        if (queue_) serve();
      });
      return;
    }
  } while (queue_->enable_doorbells());
}

bool BlockDevice::serve_request(const Chain& chain) {
  if (chain.writable_bytes() == 0) return false;
  // Section 5.2.6: the status is the last byte, whatever the framing.
  const uint32_t space = chain.writable_bytes() - 1;
  ChainWriter status_writer(chain);
  status_writer.skip(space);
  ChainReader reader(chain);
  Status status = Status::kIoError;
  uint32_t written = 1;
  if (RequestHeader header; reader.read_object(header)) {
    const uint32_t sent = chain.readable_bytes() - static_cast<uint32_t>(sizeof(header));
    data_.clear();
    switch (header.type) {
      case kIn:
        ChainWriter(chain).take(space, data_);
        status = transfer(header.sector, Direction::kFromDisk, space);
        written = space + 1;
        break;
      case kOut:
        reader.take(sent, data_);
        status = transfer(header.sector, Direction::kToDisk, sent);
        break;
      case kFlush: status = flush(); break;
      case kGetId:
        status = get_id(ChainWriter(chain), space);
        written = space + 1;
        break;
      case kDiscard: status = zero_ranges(reader, sent, ZeroMode::kDiscard); break;
      case kWriteZeroes: status = zero_ranges(reader, sent, ZeroMode::kWriteZeroes); break;
      default: status = Status::kUnsupported; break;
    }
  }
  status_writer.write_object(status);
  queue_->push(chain, written);
  return true;
}

bool BlockDevice::in_disk(uint64_t sector, uint64_t bytes) const {
  return bytes % kSectorSize == 0 && sector <= capacity_ / kSectorSize && bytes <= capacity_ - sector * kSectorSize;
}

BlockDevice::Status BlockDevice::transfer(uint64_t sector, Direction direction, uint64_t bytes) {
  if (direction == Direction::kToDisk && options_.read_only) return Status::kIoError;
  if (!in_disk(sector, bytes)) return Status::kIoError;
  auto offset = static_cast<off_t>(sector * kSectorSize);
  std::span<iovec> left = data_;
  while (!left.empty()) {
    const int count = static_cast<int>(left.size());  // at most Chain::kMaxSegments
    ssize_t done = direction == Direction::kFromDisk ? ::preadv(disk_.get(), left.data(), count, offset)
                                                     : ::pwritev(disk_.get(), left.data(), count, offset);
    if (done < 0 && errno == EINTR) continue;
    // Zero on reading: the file is shorter than it was.
    if (done <= 0) return host_failed(direction == Direction::kFromDisk ? "read" : "write", done < 0 ? errno : EIO);
    offset += done;
    while (done > 0) {
      iovec& first = left.front();
      const size_t part = std::min<size_t>(first.iov_len, static_cast<size_t>(done));
      first.iov_base = static_cast<uint8_t*>(first.iov_base) + part;
      first.iov_len -= part;
      done -= static_cast<ssize_t>(part);
      if (first.iov_len == 0) left = left.subspan(1);
    }
  }
  return direction == Direction::kToDisk && write_through_ ? flush() : Status::kOk;
}

BlockDevice::Status BlockDevice::flush() {
  if (options_.read_only) return Status::kOk;
  int result;
  do { result = ::fdatasync(disk_.get()); } while (result != 0 && errno == EINTR);
  return result == 0 ? Status::kOk : host_failed("sync", errno);
}

BlockDevice::Status BlockDevice::host_failed(const char* what, int error) {
  kLog.warning(failure_limit_, {{"disk", options_.serial}},
               "the host cannot {} the file of a disk, which the guest sees as an I/O error: {}", what, ::strerrordesc_np(error));
  return Status::kIoError;
}

BlockDevice::Status BlockDevice::get_id(ChainWriter writer, uint64_t space) {
  if (space < kIdBytes) return Status::kIoError;
  std::array<uint8_t, kIdBytes> text{};
  std::copy_n(options_.serial.begin(), std::min(options_.serial.size(), kIdBytes), text.begin());
  writer.write(text);
  return Status::kOk;
}

BlockDevice::Status BlockDevice::zero_ranges(ChainReader reader, uint64_t bytes, ZeroMode mode) {
  if (options_.read_only) return Status::kIoError;
  const uint64_t count = bytes / sizeof(ZeroSegment);
  if (bytes % sizeof(ZeroSegment) || count == 0 || count > kMaxZeroSegments) return Status::kIoError;
  std::array<ZeroSegment, kMaxZeroSegments> segments;
  for (uint64_t i = 0; i < count; ++i) {
    ZeroSegment& segment = segments[i];
    reader.read_object(segment);
    // Section 5.2.6.2: unknown flags, and unmap on a discard, are unsupported.
    if (segment.flags & ~(mode == ZeroMode::kWriteZeroes ? kUnmapFlag : 0)) return Status::kUnsupported;
    if (segment.sectors > (mode == ZeroMode::kDiscard ? kMaxDiscardSectors : kMaxWriteZeroesSectors)) return Status::kIoError;
    if (!in_disk(segment.sector, uint64_t{segment.sectors} * kSectorSize)) return Status::kIoError;
  }
  for (uint64_t i = 0; i < count; ++i) {
    const Range range{segments[i].sector * kSectorSize, uint64_t{segments[i].sectors} * kSectorSize};
    if (range.bytes == 0) continue;
    const Status status = mode == ZeroMode::kDiscard ? discard(range) : write_zeroes(range, segments[i].flags & kUnmapFlag);
    if (status != Status::kOk) return status;
  }
  return write_through_ && mode == ZeroMode::kWriteZeroes ? flush() : Status::kOk;
}

BlockDevice::Status BlockDevice::discard(const Range& range) {
  int result;
  if (is_block_device_) {
    uint64_t argument[2] = {range.offset, range.bytes};
    result = ::ioctl(disk_.get(), BLKDISCARD, argument);
  } else {
    result = retry_fallocate(disk_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range.offset, range.bytes);
  }
  // A discard is a hint: where the host cannot follow it, nothing is lost.
  return result == 0 || errno == EOPNOTSUPP || errno == ENOTTY ? Status::kOk : host_failed("discard part of", errno);
}

BlockDevice::Status BlockDevice::write_zeroes(const Range& range, bool unmap) {
  int result;
  if (is_block_device_) {
    uint64_t argument[2] = {range.offset, range.bytes};
    result = ::ioctl(disk_.get(), BLKZEROOUT, argument);
  } else {
    result = retry_fallocate(disk_.get(), (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE,
                             range.offset, range.bytes);
  }
  if (result == 0) return Status::kOk;
  return errno == EOPNOTSUPP || errno == ENOTTY ? write_zero_bytes(range) : host_failed("zero part of", errno);
}

BlockDevice::Status BlockDevice::write_zero_bytes(const Range& range) {
  static constexpr std::array<uint8_t, 64 * 1024> kZeroes{};
  for (uint64_t done = 0; done < range.bytes;) {
    const ssize_t count = ::pwrite(disk_.get(), kZeroes.data(), std::min<uint64_t>(kZeroes.size(), range.bytes - done),
                                   static_cast<off_t>(range.offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return host_failed("zero part of", count < 0 ? errno : EIO);
    done += static_cast<uint64_t>(count);
  }
  return Status::kOk;
}

}  // namespace adyton::vmm::virtio
