// Everything that translated code addresses from its base register: the architectural state first, then the vCPU's caches.
//
// One per vCPU, owned by the vCPU's thread; only `requests` is written by others.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::jit {

class CodePage;

// Why a running vCPU must look up from translated code (ExecState::requests). Any bit set makes the next poll leave the block.
enum Request : uint32_t {
  kRequestInterrupt = 1u << 0,   // an interrupt input or the mask changed
  kRequestKick = 1u << 1,        // Cpu::kick
  kRequestShootdown = 1u << 2,   // TLB or code invalidations are queued
  kRequestRendezvous = 1u << 3,  // the code cache wants every vCPU out of translated code
};

// A data TLB entry maps one 4 KiB page. A tag is the page's virtual address with the context id in its low 12 bits; kNoTag matches nothing.
struct TlbEntry {
  uint64_t read_tag;
  uint64_t write_tag;
  uint64_t addend;     // host address = virtual address + addend
  uint64_t leaf_size;  // of the translation this page came from, in bytes
};
// An instruction TLB entry leads from a virtual page to the translations of the physical page behind it.
struct InstructionTlbEntry {
  uint64_t tag;
  const void* const* entry_points;  // host code for each of the page's 1024 instruction slots
  class CodePage* page;             // whose array that is
  uint64_t leaf_size;
};

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kPageMask = ~(kPageSize - 1);
constexpr uint64_t kNoTag = ~0ull;
constexpr unsigned kTlbBits = 12;
constexpr unsigned kTlbEntries = 1u << kTlbBits;
constexpr unsigned kInstructionTlbBits = 12;
constexpr unsigned kInstructionTlbEntries = 1u << kInstructionTlbBits;

// The two address spaces that a PE at EL0 or EL1 can name: what EL0 may do, and what EL1 may do.
enum View : unsigned { kUserView = 0, kPrivilegedView = 1 };

struct ExecState {
  arm64::CpuState cpu;

  // Polled as one 64-bit word with `requests`: the vCPU itself has unmasked interrupts while an input was asserted.
  alignas(64) std::atomic<uint32_t> requests;
  uint32_t recheck;
  std::atomic<uint32_t> interrupt_level;   // non-zero while an interrupt input is asserted
  uint32_t page_offset;                    // of the instruction that calls a helper
  const void* owner;                       // the CpuImpl
  // A store-release has happened since the last full barrier: the next load-acquire needs one (RCsc; docs/engine.md, "Memory model").
  uint32_t release_pending;
  // TLB maintenance has been broadcast and not yet waited for: DSB must.
  uint32_t shootdown_pending;
  uint32_t host_mxcsr, guest_mxcsr;
  // Context id of each view, in the tag's low 12 bits.
  uint64_t context[2];
  uint64_t counter_offset;   // physical count = TSC - counter_offset
  // Home of values that do not fit registers inside one block, and of call arguments.
  alignas(64) arm64::Vector spill[32];
  arm64::Vector call_vectors[4];

  alignas(64) InstructionTlbEntry itlb[2][kInstructionTlbEntries];
  alignas(64) TlbEntry tlb[2][kTlbEntries];
};

static_assert(offsetof(ExecState, cpu) == 0);
static_assert(offsetof(ExecState, recheck) == offsetof(ExecState, requests) + 4 && offsetof(ExecState, requests) % 8 == 0);

// What the TSC was when the physical counter read 0.
uint64_t counter_origin();

inline unsigned tlb_index(uint64_t va) { return static_cast<unsigned>(va / kPageSize) & (kTlbEntries - 1); }
inline unsigned instruction_tlb_index(uint64_t va) { return static_cast<unsigned>(va / kPageSize) & (kInstructionTlbEntries - 1); }

}  // namespace adyton::engine::jit
