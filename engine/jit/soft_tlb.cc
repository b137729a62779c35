#include "engine/jit/soft_tlb.h"

#include <algorithm>
#include <bit>

namespace adyton::engine::jit {
namespace {

constexpr uint64_t kLargeLeafGranule = 2ull << 20;
constexpr uint64_t kTagAddressMask = (1ull << 56) - kPageSize;  // a tagged pointer's entry must fall to the TLBI of its untagged address

bool same_page(uint64_t tag, uint64_t va) { return tag != kNoTag && ((tag ^ va) & kTagAddressMask) == 0; }

bool in_range(uint64_t tag, uint64_t va, uint64_t size) { return tag != kNoTag && ((tag - va) & kTagAddressMask) < size; }

constexpr TlbEntry kEmpty{kNoTag, kNoTag, 0, 0};
constexpr InstructionTlbEntry kEmptyInstruction{kNoTag, nullptr, nullptr, 0};
void clear(TlbEntry& entry) { entry = kEmpty; }
void clear(InstructionTlbEntry& entry) { entry = kEmptyInstruction; }

// Spread well: a linear map of all memory must not fill every bucket.
unsigned large_leaf_bucket(uint64_t va) {
  return static_cast<unsigned>(((va / kLargeLeafGranule) * 0x9e3779b97f4a7c15ull) >> (64 - SoftTlb::kLargeLeafBucketBits));
}

}  // namespace

SoftTlb::SoftTlb(ExecState& state)
    : state_(state), context_of_asid_(65536, 0), second_{DataSecondLevel(kEmpty), DataSecondLevel(kEmpty)},
      second_instructions_{InstructionSecondLevel(kEmptyInstruction), InstructionSecondLevel(kEmptyInstruction)} {
  for (auto& view : state_.tlb) std::ranges::for_each(view, [](TlbEntry& e) { clear(e); });
  for (auto& view : state_.itlb) std::ranges::for_each(view, [](InstructionTlbEntry& e) { clear(e); });
  state_.context[kPrivilegedView] = 0;
  state_.context[kUserView] = context_for(0);
}

uint16_t SoftTlb::context_for(uint16_t asid) {
  uint32_t& known = context_of_asid_[asid];
  if (known >> kContextBits == generation_) return known & ((1u << kContextBits) - 1);
  if (next_context_ > kLastContext) {
    flush_view(kUserView);
    retire_contexts();
    next_context_ = 1;
  }
  known = generation_ << kContextBits | next_context_;
  return next_context_++;
}

void SoftTlb::retire_contexts() {
  if (++generation_ > kLastGeneration) {
    std::ranges::fill(context_of_asid_, 0);
    generation_ = 1;
  }
}

void SoftTlb::change_asid(uint16_t asid) {
  asid_ = asid;
  state_.context[kUserView] = context_for(asid);
  flush_dependent_pages();
}

void SoftTlb::insert(View view, uint64_t va, const arm64::Translation& t, uint8_t* host, bool writable) {
  const uint64_t page = va & kPageMask;
  const unsigned index = tlb_index(va);
  const uint64_t tag = page | state_.context[view];
  const bool readable = view == kUserView ? t.user_read : t.priv_read;
  const bool may_write = writable && !t.dirty_on_write && (view == kUserView ? t.user_write : t.priv_write);
  TlbEntry& entry = state_.tlb[view][index];
  if (entry.read_tag != tag && entry.write_tag != tag) {
    // The second level may hold the page with fewer permissions.
    second_[view].for_set(va, [&](TlbEntry& e) {
      if (e.read_tag == tag || e.write_tag == tag) clear(e);
    });
    second_[view].keep(entry);
  }
  entry = {readable ? tag : kNoTag, may_write ? tag : kNoTag, reinterpret_cast<uint64_t>(host) - page, t.page_size};
  used_[view].set(index / 64);
  if (view == kPrivilegedView && (!t.global || t.user_read || t.user_write)) add_dependent_page(page);
  if (t.page_size > kPageSize) remember_large_leaf(va, t.page_size);
}

void SoftTlb::insert_instruction(View view, uint64_t va, const arm64::Translation& t, const void* const* entry_points, CodePage* code) {
  const uint64_t page = va & kPageMask;
  const unsigned index = instruction_tlb_index(va);
  const uint64_t tag = page | state_.context[view];
  InstructionTlbEntry& entry = state_.itlb[view][index];
  if (entry.tag != tag) second_instructions_[view].keep(entry);  // which does not hold the page: refill_instruction() has just looked
  entry = {tag, entry_points, code, t.page_size};
  instructions_used_[view].set(index / 64);
  if (view == kPrivilegedView && !t.global) add_dependent_page(page);
  if (t.page_size > kPageSize) remember_large_leaf(va, t.page_size);
}

bool SoftTlb::refill(View view, uint64_t va, bool write) {
  const uint64_t tag = (va & kPageMask) | state_.context[view];
  const unsigned index = tlb_index(va);
  if (!second_[view].exchange(va, state_.tlb[view][index], [&](const TlbEntry& e) { return (write ? e.write_tag : e.read_tag) == tag; })) return false;
  used_[view].set(index / 64);
  return true;
}

bool SoftTlb::refill_instruction(View view, uint64_t va) {
  const uint64_t tag = (va & kPageMask) | state_.context[view];
  const unsigned index = instruction_tlb_index(va);
  if (!second_instructions_[view].exchange(va, state_.itlb[view][index], [&](const InstructionTlbEntry& e) { return e.tag == tag; })) return false;
  instructions_used_[view].set(index / 64);
  return true;
}

void SoftTlb::remember_large_leaf(uint64_t va, uint64_t size) {
  large_leaf_sizes_ |= size;
  if (size <= kLargeLeafGranule) {
    large_leaves_.set(large_leaf_bucket(va));
    return;
  }
  const uint64_t base = va & ~(size - 1);
  if (huge_leaves_.size() < kMaxHugeLeaves && std::ranges::find(huge_leaves_, base) == huge_leaves_.end()) huge_leaves_.push_back(base);
}

bool SoftTlb::maybe_huge(uint64_t base, uint64_t size) const {
  if (huge_leaves_.size() == kMaxHugeLeaves) return true;
  return std::ranges::any_of(huge_leaves_, [&](uint64_t leaf) { return (leaf & ~(size - 1)) == base; });
}

void SoftTlb::flush_view(View view) {
  for (unsigned group = 0; group < used_[view].size(); ++group) {
    if (used_[view][group]) std::for_each_n(&state_.tlb[view][group * 64], 64, [](TlbEntry& e) { clear(e); });
  }
  used_[view].reset();
  second_[view].clear();
  flush_instructions(view);
  if (view == kPrivilegedView) dependent_pages_.clear();
}

void SoftTlb::flush_all() {
  flush_view(kPrivilegedView);
  retire_contexts();  // the user view's entries become unreachable
  state_.context[kUserView] = context_for(asid_);
  large_leaf_sizes_ = 0;
  large_leaves_.reset();
  huge_leaves_.clear();
}

void SoftTlb::flush_asid(uint16_t asid) {
  context_of_asid_[asid] = 0;
  if (asid == asid_) state_.context[kUserView] = context_for(asid);
  flush_dependent_pages();
}

void SoftTlb::flush_page(View view, uint64_t va) {
  auto flush_data = [&](TlbEntry& e) {
    if (same_page(e.read_tag, va) || same_page(e.write_tag, va)) clear(e);
  };
  auto flush_instruction = [&](InstructionTlbEntry& e) {
    if (same_page(e.tag, va)) clear(e);
  };
  flush_data(state_.tlb[view][tlb_index(va)]);
  flush_instruction(state_.itlb[view][instruction_tlb_index(va)]);
  second_[view].for_set(va, flush_data);
  second_instructions_[view].for_set(va, flush_instruction);
}

void SoftTlb::flush_page(uint64_t va) {
  flush_page(kUserView, va);
  flush_page(kPrivilegedView, va);
}

void SoftTlb::add_dependent_page(uint64_t va) {
  if (dependent_pages_.size() < kMaxDependentPages && (dependent_pages_.empty() || dependent_pages_.back() != va)) dependent_pages_.push_back(va);
}

void SoftTlb::flush_dependent_pages() {
  if (dependent_pages_.size() == kMaxDependentPages) {
    flush_view(kPrivilegedView);
  } else {
    for (uint64_t va : dependent_pages_) flush_page(kPrivilegedView, va);
  }
  dependent_pages_.clear();
}

void SoftTlb::flush_range(uint64_t va, uint64_t size) {
  va &= kPageMask;
  // A leaf larger than a page has left entries around `va` that this invalidation must reach too.
  for (uint64_t sizes = large_leaf_sizes_; sizes; sizes &= sizes - 1) {
    const uint64_t leaf = sizes & -sizes;
    const uint64_t first = va & ~(leaf - 1);
    if (leaf <= kLargeLeafGranule ? size <= kPageSize && !large_leaves_[large_leaf_bucket(va)] : !maybe_huge(first, leaf)) continue;
    size = std::max(size + (va - first), leaf);
    va = first;
  }
  if (size / kPageSize <= kTlbEntries / 4) {
    for (uint64_t offset = 0; offset < size; offset += kPageSize) flush_page(va + offset);
    return;
  }
  auto flush_data = [&](TlbEntry& e) {
    if (in_range(e.read_tag, va, size) || in_range(e.write_tag, va, size)) clear(e);
  };
  auto flush_instruction = [&](InstructionTlbEntry& e) {
    if (in_range(e.tag, va, size)) clear(e);
  };
  for (unsigned view : {kUserView, kPrivilegedView}) {
    for (unsigned group = 0; group < used_[view].size(); ++group) {
      if (used_[view][group]) std::for_each_n(&state_.tlb[view][group * 64], 64, flush_data);
    }
    for (unsigned group = 0; group < instructions_used_[view].size(); ++group) {
      if (instructions_used_[view][group]) std::for_each_n(&state_.itlb[view][group * 64], 64, flush_instruction);
    }
    second_[view].for_each(flush_data);
    second_instructions_[view].for_each(flush_instruction);
  }
}

void SoftTlb::flush_writes() {
  for (unsigned view : {kUserView, kPrivilegedView}) {
    for (TlbEntry& e : state_.tlb[view]) e.write_tag = kNoTag;
    second_[view].for_each([](TlbEntry& e) { e.write_tag = kNoTag; });
  }
}

void SoftTlb::flush_instructions(View view) {
  for (unsigned group = 0; group < instructions_used_[view].size(); ++group) {
    if (instructions_used_[view][group]) std::for_each_n(&state_.itlb[view][group * 64], 64, [](InstructionTlbEntry& e) { clear(e); });
  }
  instructions_used_[view].reset();
  second_instructions_[view].clear();
}

}  // namespace adyton::engine::jit
