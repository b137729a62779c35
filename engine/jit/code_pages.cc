#include "engine/jit/code_pages.h"

#include <algorithm>
#include <cstring>

#include "engine/x64/emitter.h"

namespace adyton::engine::jit {

Result<std::unique_ptr<CodePages>> CodePages::create(const GuestMemory& memory) {
  std::vector<Region> regions;
  for (const GuestRegion& region : memory.regions()) {
    static_assert(sizeof(std::atomic<CodePage*>) == sizeof(CodePage*), "zero-filled memory is an array of null heads");
    const uint64_t bytes = region.size / kPageSize * sizeof(std::atomic<CodePage*>);
    Mapping heads = TRY(Mapping::anonymous((bytes + kPageSize - 1) & kPageMask));
    regions.push_back({region.base, region.size, region.host, std::move(heads)});
  }
  return std::unique_ptr<CodePages>(new CodePages(std::move(regions)));
}

CodePage* CodePages::add(const Region& region, uint64_t physical_page, unsigned mode) {
  physical_page &= kPageMask;
  std::atomic<CodePage*>& head = region.head(physical_page);
  std::lock_guard lock(mutex_);
  for (CodePage* page = head.load(std::memory_order_relaxed); page; page = page->next_) {
    if (page->mode_ == mode) return page;  // another vCPU was faster
  }
  const auto* words = reinterpret_cast<const uint32_t*>(region.host + (physical_page - region.base));
  pages_.push_back(std::make_unique<CodePage>(untranslated_, words, mode));
  CodePage* page = pages_.back().get();
  page->next_ = head.load(std::memory_order_relaxed);
  head.store(page, std::memory_order_release);
  // Whoever translates from this page reads its instructions after this store is visible; whoever changes instructions and invalidates them reads the list
  // after its change is visible (invalidate()). So either the invalidation finds the page, or the translation sees the new instructions.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return page;
}

bool CodePages::publish(CodePage& page, const BlockRecord& block, uint64_t generation) {
  std::lock_guard lock(page.mutex_);
  if (page.generation_.load(std::memory_order_relaxed) != generation) return false;
  page.blocks_.push_back(block);
  __atomic_store_n(&page.entries_[block.begin / 4], block.entry + exec_delta_, __ATOMIC_RELEASE);
  return true;
}

const void* CodePages::link(CodePage& page, uint16_t page_offset, uint8_t* field) {
  std::lock_guard lock(page.mutex_);
  const void* entry = page.entries_[page_offset / 4];
  if (entry == untranslated_) return nullptr;
  x64::Emitter::patch_rel32(field, exec_delta_, static_cast<const uint8_t*>(entry));
  return entry;
}

void CodePages::invalidate_blocks(CodePage& page, uint64_t begin, uint64_t end) {
  std::lock_guard lock(page.mutex_);
  page.generation_.fetch_add(1, std::memory_order_acq_rel);
  std::erase_if(page.blocks_, [&](const BlockRecord& block) {
    if (block.begin >= end || block.end <= begin) return false;
    if (page.entries_[block.begin / 4] == block.entry + exec_delta_) {
      __atomic_store_n(&page.entries_[block.begin / 4], untranslated_, __ATOMIC_RELEASE);
    }
    // call rel32; the rest of the eight bytes is never reached.
    const int64_t distance = static_cast<const uint8_t*>(invalidated_) - (block.entry + exec_delta_ + 5);
    uint64_t code = 0xe8 | (static_cast<uint64_t>(static_cast<uint32_t>(distance)) << 8) | (0x909090ull << 40);
    __atomic_store_n(reinterpret_cast<uint64_t*>(block.entry), code, __ATOMIC_RELEASE);
    return true;
  });
}

void CodePages::invalidate(uint64_t pa, uint64_t size) {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see add()
  for (uint64_t at = pa; at < pa + size;) {
    const uint64_t page_base = at & kPageMask;
    const uint64_t end = std::min(pa + size, page_base + kPageSize);
    if (const Region* region = find(page_base)) {
      for (CodePage* page = region->head(page_base).load(std::memory_order_acquire); page; page = page->next_) {
        invalidate_blocks(*page, at - page_base, end - page_base);
      }
    }
    at = end;
  }
}

void CodePages::invalidate_all() {
  std::lock_guard lock(mutex_);
  for (const auto& page : pages_) invalidate_blocks(*page, 0, kPageSize);
}

void CodePages::clear() {
  std::lock_guard lock(mutex_);
  for (const auto& page : pages_) {
    const auto* host = reinterpret_cast<const uint8_t*>(page->words_);
    for (const Region& region : regions_) {
      if (host >= region.host && host < region.host + region.size) {
        region.head(region.base + static_cast<uint64_t>(host - region.host)).store(nullptr, std::memory_order_relaxed);
      }
    }
  }
  pages_.clear();
}

}  // namespace adyton::engine::jit
