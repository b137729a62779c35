// The virtio memory balloon (virtio 1.2 section 5.5): memory that the guest gives up goes back to the host.
//
// Three ways: the driver inflates the balloon towards the target that the host sets; it reports free pages on its own (free page
// reporting); and it tells what it does with its memory (statistics). Given-up pages read as zeroes when the guest touches them
// again, so that deflating needs no leave (the host does not ask for VIRTIO_BALLOON_F_MUST_TELL_HOST), also when the guest runs
// short of memory (DEFLATE_ON_OOM).
//
// The driver is hostile: it names pages as it likes. It can only lose its own: addresses go through GuestMemory, and what is not
// whole pages of it is passed over. How much is in the balloon is what the driver says.
//
// Threading: set_target() and statistics() from any thread.
#pragma once
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/tally.h"
#include "vmm/virtio/device.h"

namespace adyton::vmm::virtio {

class BalloonDevice final : public Device {
 public:
  static constexpr uint64_t kPage = 4096;  // bytes: the balloon's unit, whatever the guest's pages are

  // Section 5.5.6.4; in bytes, or counts since the guest's boot. What the driver does not tell is empty.
  struct GuestStatistics {
    std::optional<uint64_t> free, available, total, caches;
    std::optional<uint64_t> swapped_in, swapped_out, major_faults, minor_faults;
  };
  struct Statistics {
    uint64_t target = 0;    // bytes that the balloon is to have
    uint64_t actual = 0;    // bytes that it has
    uint64_t returned = 0;  // bytes given back to the host since the start, in either way
    GuestStatistics guest;
  };

  // `memory_size`: bytes that the guest has, the most that the balloon can take.
  explicit BalloonDevice(uint64_t memory_size) : memory_size_(memory_size) {}

  [[nodiscard]] DeviceId id() const override { return DeviceId::kBalloon; }
  [[nodiscard]] std::string_view name() const override { return "virtio-balloon"; }
  [[nodiscard]] uint64_t features() const override { return kFeatureStatistics | kFeatureDeflateOnOom | kFeatureReporting; }
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
  void read_config(uint64_t offset, std::span<uint8_t> out) const override;
  void write_config(uint64_t offset, std::span<const uint8_t> data) override;
  void activate(uint64_t driver_features, std::span<Virtqueue> queues) override;
  void queue_notified(uint16_t index) override;
  void reset() override;

  // Rounded down to pages, and to the guest's memory. The driver follows as it can.
  void set_target(uint64_t bytes);
  // As the driver told last; asks it for newer ones, which the next call returns.
  [[nodiscard]] Statistics statistics();

 private:
  static constexpr uint64_t kFeatureStatistics = 1ull << 1, kFeatureDeflateOnOom = 1ull << 2, kFeatureReporting = 1ull << 5;
  static constexpr uint16_t kInflate = 0, kDeflate = 1;
  // Statistics and reporting have the next numbers, as far as the driver takes them.
  static constexpr std::array<uint16_t, 4> kQueueSizes = {128, 128, 128, 128};

  struct Config {
    uint32_t pages;   // the target
    uint32_t actual;  // written by the driver
  };
  // Deals with one request; false: it is one that the device cannot go on from.
  using Handler = bool (BalloonDevice::*)();
  void serve(uint16_t index, Handler handler);
  bool inflate();
  bool pass();
  bool take_reported();
  void take_statistics();
  void ask_for_statistics();
  void give_back(std::span<uint8_t> bytes);

  const uint64_t memory_size_;
  std::atomic<uint32_t> target_pages_{0};
  std::atomic<uint32_t> actual_pages_{0};
  Tally returned_;

  std::span<Virtqueue> queues_;
  uint16_t statistics_queue_ = 0, reporting_queue_ = 0;  // 0: the driver does not know it
  Chain chain_;
  std::vector<uint32_t> frames_;
  // The request that the driver waits for, and answers with new statistics.
  Chain statistics_chain_;
  bool has_statistics_chain_ = false;
  std::atomic<bool> asked_{false};
  mutable std::mutex mutex_;
  GuestStatistics guest_;  // guarded by mutex_
};

}  // namespace adyton::vmm::virtio
