// Load/store-exclusive without the ABA problem.
//
// A load-exclusive that the translator could not prove harmless publishes its granule here and *arms* the physical page: every vCPU forgets its write
// permission for the page, so that all stores to it come to the slow path, where they clear matching monitors before they store. The page stays armed:
// code that uses exclusives on a page keeps doing so, and arming costs a shootdown.
// Threading: any thread; a granule's bucket lock orders monitors and stores.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/guest_memory.h"

namespace adyton::engine::jit {

class ExclusiveMonitor {
 public:
  static constexpr uint64_t kGranule = 64;  // bytes; CTR_EL0.ERG

  explicit ExclusiveMonitor(const GuestMemory& memory);

  // Number of vCPUs that will use the monitor, set before any runs.
  void set_cpus(unsigned count) { held_ = std::vector<Held>(count); }

  // True when stores to `pa` must come through guarded_store.
  [[nodiscard]] bool armed(uint64_t pa) const;
  // Arms the page of `pa`; true when it was not armed before, and the caller must now make every vCPU drop its write permissions.
  bool arm(uint64_t pa);

  // Runs `load` under the granule's lock and leaves cpu's monitor holding [pa, pa + size).
  template <typename Load>
  void load_exclusive(unsigned cpu, uint64_t pa, Load load) {
    std::lock_guard lock(bucket(pa));
    held_[cpu].granule.store(pa / kGranule + 1, std::memory_order_relaxed);
    load();
  }
  // Runs `store` if cpu's monitor still holds the granule of `pa`, clearing every monitor on it. Returns whether it stored.
  template <typename Store>
  bool store_exclusive(unsigned cpu, uint64_t pa, Store store) {
    std::lock_guard lock(bucket(pa));
    const bool holds = held_[cpu].granule.load(std::memory_order_relaxed) == pa / kGranule + 1;
    held_[cpu].granule.store(0, std::memory_order_relaxed);
    if (!holds) return false;
    clear_granule(pa);
    store();
    return true;
  }
  // A store by another path to an armed page.
  template <typename Store>
  void guarded_store(unsigned cpu, uint64_t pa, Store store) {
    std::lock_guard lock(bucket(pa));
    clear_granule_of_others(cpu, pa);
    store();
  }
  void clear(unsigned cpu) { held_[cpu].granule.store(0, std::memory_order_relaxed); }

 private:
  struct alignas(64) Held {
    std::atomic<uint64_t> granule{0};  // physical address / kGranule + 1; 0: open
  };
  struct alignas(64) Bucket {
    std::mutex mutex;
  };

  std::mutex& bucket(uint64_t pa) { return buckets_[(pa / kGranule) % buckets_.size()].mutex; }
  void clear_granule(uint64_t pa);
  void clear_granule_of_others(unsigned cpu, uint64_t pa);

  std::vector<Held> held_;
  std::array<Bucket, 64> buckets_;
  // One bit per page of each region, in the regions' order.
  struct PageBits {
    uint64_t base, pages;
    std::unique_ptr<std::atomic<uint64_t>[]> words;
  };
  std::vector<PageBits> armed_;
};

}  // namespace adyton::engine::jit
