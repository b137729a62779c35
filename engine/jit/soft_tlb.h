// The tagged software TLB of one vCPU: insertion, context ids, and every kind of invalidation.
//
// An address-space switch changes the user view's context id and flushes nothing. A context id stands for one ASID until the ASID is
// invalidated (the id is then retired, its entries become unreachable) or ids run out (then the view is flushed and numbering restarts).
// The privileged view has one fixed id: its entries are global ones. The rare others (lower-half or nG mappings touched at EL1) are remembered and
// dropped at the next change of context.
// Two levels: the direct-mapped one in ExecState that translated code probes, and TlbSecondLevel behind it, looked up before the tables are walked.
// Threading: the vCPU's own thread only.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "engine/arm64/mmu.h"
#include "engine/jit/exec_state.h"
#include "engine/jit/tlb_second_level.h"

namespace adyton::engine::jit {

class SoftTlb {
 public:
  static constexpr unsigned kLargeLeafBucketBits = 14;

  explicit SoftTlb(ExecState& state);

  // Makes `asid` the current address space of the user view; `pan` is PSTATE.PAN.
  void set_context(uint16_t asid, bool pan) {
    if (asid != asid_) [[unlikely]] {
      change_asid(asid);
    }
    // Entries made with PAN clear allow what PAN set forbids.
    if (pan && !pan_ && !dependent_pages_.empty()) [[unlikely]] {
      flush_dependent_pages();
    }
    pan_ = pan;
  }

  // Caches a translation of the page of `va`. `host` is the host address of the page's first byte. `writable` false keeps stores on the slow path.
  void insert(View view, uint64_t va, const arm64::Translation& translation, uint8_t* host, bool writable);
  void insert_instruction(View view, uint64_t va, const arm64::Translation& translation, const void* const* entry_points, CodePage* page);

  // Brings the entry of `va` that allows the access from the second level to the first. False when there is none.
  bool refill(View view, uint64_t va, bool write);
  bool refill_instruction(View view, uint64_t va);

  void flush_all();
  void flush_asid(uint16_t asid);
  // All pages of [va, va + size), for any address space (a superset of what each TLBI asks for).
  void flush_range(uint64_t va, uint64_t size);
  // Forgets every write permission, so that stores come to the slow path once more.
  void flush_writes();
  // Forgets all instruction translations (the code behind them has gone or the translation mode has changed).
  void flush_instructions(View view);

 private:
  void flush_view(View view);
  void flush_page(uint64_t va);
  void flush_page(View view, uint64_t va);
  void add_dependent_page(uint64_t va);
  void flush_dependent_pages();
  void remember_large_leaf(uint64_t va, uint64_t size);
  [[nodiscard]] bool maybe_huge(uint64_t base, uint64_t size) const;
  uint16_t context_for(uint16_t asid);
  void change_asid(uint16_t asid);
  void retire_contexts();

  static constexpr uint16_t kLastContext = 0xffe;  // 0xfff would make kNoTag reachable

  ExecState& state_;
  // Context id in the low bits, above them the generation in which it was given: one increment retires them all.
  static constexpr unsigned kContextBits = 12;
  static constexpr uint32_t kLastGeneration = (1u << (32 - kContextBits)) - 1;
  std::vector<uint32_t> context_of_asid_;
  uint32_t generation_ = 1;
  uint16_t next_context_ = 1;
  uint16_t asid_ = 0;
  bool pan_ = false;
  // Pages of which the privileged view holds entries that depend on the ASID or on PAN being clear; when full, any page may be one.
  static constexpr size_t kMaxDependentPages = 128;
  std::vector<uint64_t> dependent_pages_;
  // Which 64-entry groups of each TLB hold anything, so that a flush costs what was used.
  std::array<std::bitset<kTlbEntries / 64>, 2> used_;
  std::array<std::bitset<kInstructionTlbEntries / 64>, 2> instructions_used_;
  using DataSecondLevel = TlbSecondLevel<TlbEntry, 10>;
  using InstructionSecondLevel = TlbSecondLevel<InstructionTlbEntry, 8>;
  std::array<DataSecondLevel, 2> second_;
  std::array<InstructionSecondLevel, 2> second_instructions_;
  // Sizes of leaves larger than a page seen since the last flush (bit n: size 1 << n), and where, coarsely.
  uint64_t large_leaf_sizes_ = 0;
  std::bitset<1u << kLargeLeafBucketBits> large_leaves_;
  // Bases of leaves above 2 MiB (1 GiB blocks of a linear map); when full, any address may be in one.
  static constexpr size_t kMaxHugeLeaves = 64;
  std::vector<uint64_t> huge_leaves_;
};

}  // namespace adyton::engine::jit
