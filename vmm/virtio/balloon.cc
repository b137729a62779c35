#include "vmm/virtio/balloon.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

namespace adyton::vmm::virtio {
namespace {

// Requests before the loop's other work.
constexpr int kTurn = 64;
// Bytes of one request's list of pages, which has 4 for each; Linux sends up to 1 KiB.
constexpr uint32_t kMaxList = 64 * 1024;
// Entries of statistics that are looked at; there are ten kinds.
constexpr int kMaxEntries = 64;

// Section 5.5.6.4.
enum Tag : uint16_t {
  kSwapIn = 0,
  kSwapOut = 1,
  kMajorFaults = 2,
  kMinorFaults = 3,
  kFree = 4,
  kTotal = 5,
  kAvailable = 6,
  kCaches = 7
};

struct [[gnu::packed]] Entry {
  uint16_t tag;
  uint64_t value;
};

}  // namespace

void BalloonDevice::read_config(uint64_t offset, std::span<uint8_t> out) const {
  read_config_object(Config{.pages = target_pages_.load(), .actual = actual_pages_.load()}, offset, out);
}

void BalloonDevice::write_config(uint64_t offset, std::span<const uint8_t> data) {
  uint32_t actual = 0;
  if (offset != offsetof(Config, actual) || data.size() != sizeof(actual)) return;
  std::memcpy(&actual, data.data(), sizeof(actual));
  actual_pages_ = static_cast<uint32_t>(std::min<uint64_t>(actual, memory_size_ / kPage));
}

void BalloonDevice::activate(uint64_t driver_features, std::span<Virtqueue> queues) {
  queues_ = queues;
  uint16_t next = kDeflate + 1;
  statistics_queue_ = driver_features & kFeatureStatistics ? next++ : 0;
  reporting_queue_ = driver_features & kFeatureReporting ? next++ : 0;
}

void BalloonDevice::reset() {
  queues_ = {};
  has_statistics_chain_ = false;
  actual_pages_ = 0;
  const std::lock_guard lock(mutex_);
  guest_ = {};
}

void BalloonDevice::queue_notified(uint16_t index) {
  if (queues_.empty()) return;
  if (index == kInflate) {
    serve(index, &BalloonDevice::inflate);
  } else if (index == kDeflate) {
    serve(index, &BalloonDevice::pass);
  } else if (index == statistics_queue_) {
    take_statistics();
  } else if (index == reporting_queue_) {
    serve(index, &BalloonDevice::take_reported);
  }
}

void BalloonDevice::serve(uint16_t index, Handler handler) {
  Virtqueue& queue = queues_[index];
  int turn = 0;
  do {
    queue.disable_doorbells();
    while (queue.pop(chain_)) {
      if (++turn > kTurn) {
        queue.rewind(1);
        host().signal(queue);
        host().loop().post([this, index] { queue_notified(index); });
        return;
      }
      if (!(this->*handler)()) {
        queue.disable();
        return;
      }
      queue.push(chain_, 0);
    }
    host().signal(queue);
  } while (queue.enable_doorbells());
}

// A list of page numbers. Linux names them as it finds them: sorted, most of them are neighbours.
bool BalloonDevice::inflate() {
  const uint32_t bytes = chain_.readable_bytes();
  if (bytes > kMaxList) {
    host().fail_device("a request to the balloon names too many pages");
    return false;
  }
  frames_.resize(bytes / sizeof(uint32_t));
  ChainReader(chain_).read(std::span(reinterpret_cast<uint8_t*>(frames_.data()), frames_.size() * sizeof(uint32_t)));
  std::ranges::sort(frames_);
  std::span<uint8_t> run;
  for (const uint32_t frame : frames_) {
    const auto page = host().memory().slice(uint64_t{frame} * kPage, kPage);
    if (!run.empty() && page.data() == run.data() + run.size()) {
      run = {run.data(), run.size() + page.size()};
      continue;
    }
    give_back(run);
    run = page;
  }
  give_back(run);
  return true;
}

// Memory comes back when it is touched.
bool BalloonDevice::pass() { return true; }

bool BalloonDevice::take_reported() {
  for (const iovec& part : chain_.writable()) give_back({static_cast<uint8_t*>(part.iov_base), part.iov_len});
  return true;
}

// The whole pages in it.
void BalloonDevice::give_back(std::span<uint8_t> bytes) {
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / kPage * kPage;
  if (bytes.empty() || begin >= end) return;
  // Fails only where memory is locked; then it stays.
  if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED) == 0) returned_.add(end - begin);
}

void BalloonDevice::take_statistics() {
  Virtqueue& queue = queues_[statistics_queue_];
  if (has_statistics_chain_ || !queue.pop(statistics_chain_)) return;
  has_statistics_chain_ = true;
  // The next one is taken when this one has gone back.
  static_cast<void>(queue.enable_doorbells());
  GuestStatistics told;
  ChainReader reader(statistics_chain_);
  Entry entry;
  for (int i = 0; i < kMaxEntries && reader.read_object(entry); ++i) {
    const uint64_t value = entry.value;
    switch (entry.tag) {
      case kSwapIn: told.swapped_in = value; break;
      case kSwapOut: told.swapped_out = value; break;
      case kMajorFaults: told.major_faults = value; break;
      case kMinorFaults: told.minor_faults = value; break;
      case kFree: told.free = value; break;
      case kTotal: told.total = value; break;
      case kAvailable: told.available = value; break;
      case kCaches: told.caches = value; break;
      default: break;
    }
  }
  const std::lock_guard lock(mutex_);
  guest_ = told;
}

// The driver fills the buffer anew when it gets it back.
void BalloonDevice::ask_for_statistics() {
  asked_ = false;
  if (queues_.empty() || !std::exchange(has_statistics_chain_, false)) return;
  Virtqueue& queue = queues_[statistics_queue_];
  queue.push(statistics_chain_, 0);
  host().signal(queue);
  take_statistics();
}

void BalloonDevice::set_target(uint64_t bytes) {
  const auto pages = static_cast<uint32_t>(std::min(bytes, memory_size_) / kPage);
  if (target_pages_.exchange(pages) != pages) host().raise_config_changed();
}

BalloonDevice::Statistics BalloonDevice::statistics() {
  if (!asked_.exchange(true)) host().loop().post([this] { ask_for_statistics(); });
  Statistics all{
      .target = target_pages_.load() * kPage, .actual = actual_pages_.load() * kPage, .returned = returned_.value(), .guest = {}};
  const std::lock_guard lock(mutex_);
  all.guest = guest_;
  return all;
}

}  // namespace adyton::vmm::virtio
