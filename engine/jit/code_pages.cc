#include "engine/jit/code_pages.h"

#include <algorithm>
#include <cstring>

#include "engine/x64/emitter.h"

namespace adyton::engine::jit {

CodePage& CodePages::page(uint64_t physical_page, unsigned mode, const uint32_t* words) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<CodePage>& page = pages_[physical_page][mode];
  if (!page) page = std::make_unique<CodePage>(untranslated_, words);
  return *page;
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
  std::lock_guard lock(mutex_);
  for (uint64_t at = pa; at < pa + size;) {
    const uint64_t page_base = at & kPageMask;
    const uint64_t end = std::min(pa + size, page_base + kPageSize);
    if (auto found = pages_.find(page_base); found != pages_.end()) {
      for (auto& [mode, page] : found->second) invalidate_blocks(*page, at - page_base, end - page_base);
    }
    at = end;
  }
}

void CodePages::invalidate_all() {
  std::lock_guard lock(mutex_);
  for (auto& [base, modes] : pages_) {
    for (auto& [mode, page] : modes) invalidate_blocks(*page, 0, kPageSize);
  }
}

void CodePages::clear() {
  std::lock_guard lock(mutex_);
  pages_.clear();
}

}  // namespace adyton::engine::jit
