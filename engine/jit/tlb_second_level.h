// What the direct-mapped TLB in ExecState had to give up: four ways per set, indexed by address alone, so that one page's entries of all address
// spaces are in one set and an invalidation by address finds them there.
//
// Entries are in one level or in the other: a hit exchanges them. Threading: the vCPU's own thread only.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/jit/exec_state.h"

namespace adyton::engine::jit {

template <typename Entry, unsigned kSetBits>
class TlbSecondLevel {
 public:
  static constexpr unsigned kSets = 1u << kSetBits, kWays = 4;

  explicit TlbSecondLevel(const Entry& empty) : empty_(empty) { sets_.resize(kSets, Set{empty, empty, empty, empty}); }

  // Exchanges `first` for the entry of `va` that `matches`, if there is one.
  template <typename Matches>
  bool exchange(uint64_t va, Entry& first, Matches matches) {
    const unsigned number = set_of(va);
    if (!used_[number]) return false;
    for (Entry& entry : sets_[number]) {
      if (!matches(entry)) continue;
      // An entry goes back to its own set. The same index in the first level does not mean the same set in this one.
      Entry old = std::exchange(first, std::exchange(entry, empty_));
      keep(old);
      return true;
    }
    return false;
  }
  // Takes in an entry that the first level gives up.
  void keep(const Entry& entry) {
    const uint64_t va = address_of(entry);
    if (va == kNoTag) return;
    const unsigned number = set_of(va);
    Set& set = sets_[number];
    used_.set(number);
    for (Entry& way : set) {
      if (address_of(way) == kNoTag) {
        way = entry;
        return;
      }
    }
    set[next_way_++ % kWays] = entry;
  }
  // Calls `visit` with each entry of the set of `va`, or with all.
  template <typename Visit>
  void for_set(uint64_t va, Visit visit) {
    const unsigned number = set_of(va);
    if (!used_[number]) return;
    for (Entry& entry : sets_[number]) visit(entry);
  }
  template <typename Visit>
  void for_each(Visit visit) {
    for (unsigned number = 0; number < kSets; ++number) {
      if (!used_[number]) continue;
      for (Entry& entry : sets_[number]) visit(entry);
    }
  }
  void clear() {
    for_each([this](Entry& entry) { entry = empty_; });
    used_.reset();
  }

 private:
  using Set = std::array<Entry, kWays>;

  static uint64_t address_of(const TlbEntry& entry) { return entry.read_tag != kNoTag ? entry.read_tag : entry.write_tag; }
  static uint64_t address_of(const InstructionTlbEntry& entry) { return entry.tag; }
  // Bits below 56 only: the tag in a pointer's top byte must not lead elsewhere.
  static unsigned set_of(uint64_t va) {
    const uint64_t page = va / kPageSize;
    return static_cast<unsigned>(page ^ (page >> kTlbBits)) & (kSets - 1);
  }

  const Entry empty_;
  std::vector<Set> sets_;
  std::bitset<kSets> used_;  // sets that may hold something, so that a flush costs what was used
  unsigned next_way_ = 0;
};

}  // namespace adyton::engine::jit
