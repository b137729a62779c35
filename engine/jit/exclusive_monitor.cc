#include "engine/jit/exclusive_monitor.h"

namespace adyton::engine::jit {
namespace {
constexpr uint64_t kPage = 4096;
}

ExclusiveMonitor::ExclusiveMonitor(const GuestMemory& memory) {
  for (const GuestRegion& region : memory.regions()) {
    const uint64_t pages = region.size / kPage;
    armed_.push_back({region.base, pages, std::make_unique<std::atomic<uint64_t>[]>((pages + 63) / 64)});
  }
}

bool ExclusiveMonitor::armed(uint64_t pa) const {
  for (const PageBits& bits : armed_) {
    const uint64_t page = (pa - bits.base) / kPage;
    if (pa >= bits.base && page < bits.pages) return (bits.words[page / 64].load(std::memory_order_acquire) >> (page % 64)) & 1;
  }
  return false;
}

bool ExclusiveMonitor::arm(uint64_t pa) {
  for (PageBits& bits : armed_) {
    const uint64_t page = (pa - bits.base) / kPage;
    if (pa < bits.base || page >= bits.pages) continue;
    const uint64_t bit = 1ull << (page % 64);
    return !(bits.words[page / 64].fetch_or(bit, std::memory_order_acq_rel) & bit);
  }
  return false;
}

void ExclusiveMonitor::clear_granule(uint64_t pa) {
  for (Held& held : held_) {
    uint64_t expected = pa / kGranule + 1;
    held.granule.compare_exchange_strong(expected, 0, std::memory_order_relaxed);
  }
}

void ExclusiveMonitor::clear_granule_of_others(unsigned cpu, uint64_t pa) {
  for (size_t i = 0; i < held_.size(); ++i) {
    if (i == cpu) continue;
    uint64_t expected = pa / kGranule + 1;
    held_[i].granule.compare_exchange_strong(expected, 0, std::memory_order_relaxed);
  }
}

}  // namespace adyton::engine::jit
