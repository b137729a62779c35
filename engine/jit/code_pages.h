// Which translations exist, by physical page and translation mode.
//
// A CodePage has one entry point per instruction slot of its page; slots without a translation lead to the runtime. Instruction TLB entries point straight at
// the array. Invalidation (IC IVAU by line) empties the slots and turns the old code's entry into a call to the runtime, so that direct links
// into it need not be found.
// Threading: any thread; a page's own lock orders publishing, linking and invalidating. Finding a page takes no lock. Pages live until clear().
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/guest_memory.h"
#include "base/mapping.h"
#include "base/result.h"
#include "engine/arm64/translate/translator.h"
#include "engine/jit/exec_state.h"

namespace adyton::engine::jit {

struct BlockRecord {
  uint16_t begin = 0, end = 0;      // page offsets of its guest instructions, [begin, end)
  uint8_t* entry = nullptr;         // writable view
};

class CodePage {
 public:
  static constexpr unsigned kSlots = kPageSize / 4;

  CodePage(const void* untranslated, const uint32_t* words, unsigned mode) : words_(words), mode_(mode) { entries_.fill(untranslated); }

  // Guest instructions of the page.
  [[nodiscard]] const uint32_t* words() const { return words_; }
  [[nodiscard]] const void* const* entry_points() const { return entries_.data(); }
  [[nodiscard]] const void* entry_point(uint16_t page_offset) const {
    return __atomic_load_n(&entries_[page_offset / 4], __ATOMIC_ACQUIRE);
  }
  [[nodiscard]] unsigned mode() const { return mode_; }
  // Changes with every invalidation; a translation that began under another generation must not be published.
  [[nodiscard]] uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  friend class CodePages;
  std::array<const void*, kSlots> entries_;
  const uint32_t* words_;
  const unsigned mode_;
  CodePage* next_ = nullptr;        // of the same physical page, in another mode; fixed before the page can be found
  std::atomic<uint64_t> generation_{0};
  std::vector<BlockRecord> blocks_;
  std::mutex mutex_;
};

class CodePages {
 public:
  static Result<std::unique_ptr<CodePages>> create(const GuestMemory& memory);

  // `untranslated` and `invalidated`: executable addresses of the thunks; code is patched through view + `exec_delta`.
  void set_thunks(const void* untranslated, const void* invalidated, ptrdiff_t exec_delta) {
    untranslated_ = untranslated, invalidated_ = invalidated, exec_delta_ = exec_delta;
  }

  // The page of RAM at `physical_page` in `mode`; null when there is no RAM.
  CodePage* page(uint64_t physical_page, unsigned mode) {
    const Region* region = find(physical_page);
    if (!region) return nullptr;
    for (CodePage* page = region->head(physical_page).load(std::memory_order_acquire); page; page = page->next_) {
      if (page->mode_ == mode) [[likely]] return page;
    }
    return add(*region, physical_page, mode);
  }

  // Makes a translation reachable. False when the page's instructions were invalidated since `generation`.
  bool publish(CodePage& page, const BlockRecord& block, uint64_t generation);
  // Points the jump at `field` (writable view) to the block at `page_offset` if there is one; returns its entry or null.
  const void* link(CodePage& page, uint16_t page_offset, uint8_t* field);

  // Drops translations of [pa, pa + size).
  void invalidate(uint64_t pa, uint64_t size);
  void invalidate_all();
  // Forgets everything; translated code is about to be reused. No vCPU may be running.
  void clear();

 private:
  // The list of its CodePages for each page of one region of RAM. The memory is only touched where code is.
  struct Region {
    uint64_t base, size;
    uint8_t* host;
    Mapping heads;
    [[nodiscard]] std::atomic<CodePage*>& head(uint64_t pa) const {
      return reinterpret_cast<std::atomic<CodePage*>*>(heads.data())[(pa - base) / kPageSize];
    }
  };

  explicit CodePages(std::vector<Region> regions) : regions_(std::move(regions)) {}
  [[nodiscard]] const Region* find(uint64_t pa) const {
    for (const Region& region : regions_) {
      if (pa >= region.base && pa - region.base < region.size) return &region;
    }
    return nullptr;
  }
  CodePage* add(const Region& region, uint64_t physical_page, unsigned mode);
  void invalidate_blocks(CodePage& page, uint64_t begin, uint64_t end);

  const void* untranslated_ = nullptr;
  const void* invalidated_ = nullptr;
  ptrdiff_t exec_delta_ = 0;
  const std::vector<Region> regions_;
  std::mutex mutex_;                             // of pages_, and taken to add to a list
  std::vector<std::unique_ptr<CodePage>> pages_;
};

}  // namespace adyton::engine::jit
