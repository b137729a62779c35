// The virtio block device (virtio 1.2 section 5.2) on a raw file or block device: one disk, one request queue, requests served in
// order on the device's thread.
//
// What the host cannot do for the guest (a bad sector, a full disk, a file that shrank) is VIRTIO_BLK_S_IOERR for that request.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log/rate_limit.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/virtio/device.h"

namespace adyton::vmm::virtio {

class BlockDevice final : public Device {
 public:
  static constexpr uint32_t kSectorSize = 512;

  struct Options {
    bool read_only = false;
    std::string serial;         // what VIRTIO_BLK_T_GET_ID answers; 20 bytes count
    uint32_t block_size = 512;  // logical block: 512 or 4096 bytes
  };

  // `disk` is a regular file or a block device, open for what the options ask. Its size is taken now; a last incomplete block is
  // left out.
  static Result<std::unique_ptr<BlockDevice>> create(UniqueFd disk, const Options& options);

  [[nodiscard]] uint64_t capacity() const { return capacity_; }  // bytes

  [[nodiscard]] DeviceId id() const override { return DeviceId::kBlock; }
  [[nodiscard]] std::string_view name() const override { return "virtio-blk"; }
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
  void read_config(uint64_t offset, std::span<uint8_t> out) const override;
  void activate(uint64_t driver_features, std::span<Virtqueue> queues) override;
  void queue_notified(uint16_t index) override;
  void reset() override;

 private:
  static constexpr std::array<uint16_t, 1> kQueueSizes = {256};

  enum class Status : uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };
  enum class Direction : uint8_t { kFromDisk, kToDisk };
  enum class ZeroMode : uint8_t { kDiscard, kWriteZeroes };
  struct Range {
    uint64_t offset;
    uint64_t bytes;
  };

  BlockDevice(UniqueFd disk, const Options& options, uint64_t capacity, bool is_block_device)
      : disk_(std::move(disk)), options_(options), capacity_(capacity), is_block_device_(is_block_device) {}

  void serve();
  // Returns false when the request has no place for its status.
  bool serve_request(const Chain& chain);
  Status transfer(uint64_t sector, Direction direction, uint64_t bytes);
  Status flush();
  Status get_id(ChainWriter writer, uint64_t space);
  Status zero_ranges(ChainReader reader, uint64_t bytes, ZeroMode mode);
  Status discard(const Range& range);
  Status write_zeroes(const Range& range, bool unmap);
  Status write_zero_bytes(const Range& range);
  // The host could not do what the guest may ask for; `error` is an errno value.
  Status host_failed(const char* what, int error);
  [[nodiscard]] bool in_disk(uint64_t sector, uint64_t bytes) const;

  log::RateLimit failure_limit_;  // a guest repeats what fails as fast as it likes
  UniqueFd disk_;
  const Options options_;
  const uint64_t capacity_;
  const bool is_block_device_;
  Virtqueue* queue_ = nullptr;
  bool write_through_ = false;  // the driver does not flush (section 5.2.6.2)

  // Reused from request to request.
  Chain chain_;
  std::vector<iovec> data_;
};

}  // namespace adyton::vmm::virtio
