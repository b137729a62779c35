// Where translated code finds the guest's state and the runtime's tables: offsets from the base register (rbp), and addresses of
// the runtime's thunks.
#pragma once
#include <cstdint>

namespace adyton::engine::x64 {

struct StateLayout {
  // rbp points this many bytes into the state, so that the hottest 256 bytes are within reach of an 8-bit displacement.
  static constexpr int32_t kBias = 128;

  int32_t regs = 0;              // 32 integer registers of 8 bytes
  int32_t vecs = 0;              // 32 vector registers of 16 bytes
  int32_t flags = 0;             // 32 bits, ir::flags_image
  int32_t pc = 0;                // page of the running block (virtual address)
  int32_t page_offset = 0;       // 32 bits: offset in that page of the instruction that calls a helper
  int32_t requests = 0;          // 32 bits: non-zero asks translated code to leave
  int32_t release_pending = 0;   // 32 bits
  int32_t counter_offset = 0;    // 64 bits
  int32_t spill = 0;             // kSpillSlots slots of 16 bytes
  int32_t call_vectors = 0;      // 4 slots of 16 bytes for the arguments and result of vector helpers
  int32_t context[2] = {};       // 64 bits: what is ORed into a TLB tag of each view
  bool context_is_zero[2] = {};  // the view's context is always 0
  int32_t tlb[2] = {};           // entries of 32 bytes: read tag, write tag, addend, -
  int32_t itlb[2] = {};          // entries of 32 bytes: tag, entry points, -, -
  uint32_t tlb_index_mask = 0;   // number of entries - 1
  uint32_t itlb_index_mask = 0;

  static constexpr unsigned kSpillSlots = 32;
  static constexpr unsigned kEntryShift = 5;
  static constexpr unsigned kPageShift = 12;

  [[nodiscard]] int32_t reg(unsigned n) const { return regs + static_cast<int32_t>(8 * n); }
  [[nodiscard]] int32_t vec(unsigned n) const { return vecs + static_cast<int32_t>(16 * n); }
};

// Entry points of the runtime in the executable view. All are jumped to, with nothing live but rbp and what is named.
struct RuntimeThunks {
  const void* poll = nullptr;           // eax: page offset to resume at. Serves `requests`
  const void* link = nullptr;           // eax: page offset of the target, rdx: executable address of the jump's rel32 field
  const void* find_indirect = nullptr;  // rax: virtual address. Misses the instruction TLB
  const void* translate = nullptr;      // eax: page offset. Nothing is translated there yet
  // Called: rax is the operation (see fp_thunk.h), operands in call_vectors[1..3]; result in call_vectors[0]. Preserves all
  // registers but rax, xmm0, xmm1 and the flags.
  const void* fp_slow = nullptr;
  // Called (not jumped to) as slow paths: C functions.
  const void* slow_load = nullptr;          // {value, resume} fn(base, address, MemoryInfo)
  const void* slow_load_pair = nullptr;     // second element in call_vectors[0]
  const void* slow_store = nullptr;         // {-, resume} fn(base, address, MemoryInfo, value)
  const void* slow_store_pair = nullptr;    // fn(base, address, MemoryInfo, first, second)
  const void* slow_load_vector = nullptr;   // into call_vectors[0] (and [1] for pairs; MemoryInfo::pair)
  const void* slow_store_vector = nullptr;  // from call_vectors
  const void* slow_atomic = nullptr;        // {old value, resume} fn(base, address, MemoryInfo, operation, operand, operand 2)
};

}  // namespace adyton::engine::x64
