// Which translations exist, by physical page and translation mode.
//
// A CodePage has one entry point per instruction slot of its page; slots without a translation lead to the runtime. Instruction TLB entries point straight at
// the array. Invalidation (IC IVAU by line) empties the slots and turns the old code's entry into a call to the runtime, so that direct links
// into it need not be found.
// Threading: any thread; a page's own lock orders publishing, linking and invalidating. Pages live until clear().
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

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

  CodePage(const void* untranslated, const uint32_t* words) : words_(words) { entries_.fill(untranslated); }

  // Guest instructions of the page.
  [[nodiscard]] const uint32_t* words() const { return words_; }
  [[nodiscard]] const void* const* entry_points() const { return entries_.data(); }
  [[nodiscard]] const void* entry_point(uint16_t page_offset) const {
    return __atomic_load_n(&entries_[page_offset / 4], __ATOMIC_ACQUIRE);
  }
  // Changes with every invalidation; a translation that began under another generation must not be published.
  [[nodiscard]] uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  friend class CodePages;
  std::array<const void*, kSlots> entries_;
  const uint32_t* words_;
  std::atomic<uint64_t> generation_{0};
  std::vector<BlockRecord> blocks_;
  std::mutex mutex_;
};

class CodePages {
 public:
  // `untranslated` and `invalidated`: executable addresses of the thunks; code is patched through view + `exec_delta`.
  void set_thunks(const void* untranslated, const void* invalidated, ptrdiff_t exec_delta) {
    untranslated_ = untranslated, invalidated_ = invalidated, exec_delta_ = exec_delta;
  }

  CodePage& page(uint64_t physical_page, unsigned mode, const uint32_t* words);

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
  void invalidate_blocks(CodePage& page, uint64_t begin, uint64_t end);

  const void* untranslated_ = nullptr;
  const void* invalidated_ = nullptr;
  ptrdiff_t exec_delta_ = 0;
  std::mutex mutex_;
  using Modes = std::unordered_map<unsigned, std::unique_ptr<CodePage>>;
  std::unordered_map<uint64_t, Modes> pages_;
};

}  // namespace adyton::engine::jit
