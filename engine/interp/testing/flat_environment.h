// A machine for tests: memory at the same virtual addresses as in the host process, no devices, no translation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/arm64/cpu_state.h"
#include "engine/arm64/sysreg.h"
#include "engine/interp/environment.h"

namespace adyton::engine::interp::testing {

// Anonymous host memory at a chosen address, so that guest addresses are host addresses (VIXL accesses memory that way). Aborts
// the test program when the address is taken.
class FixedMemory {
 public:
  FixedMemory(uint64_t address, size_t size);
  ~FixedMemory();
  FixedMemory(const FixedMemory&) = delete;
  FixedMemory& operator=(const FixedMemory&) = delete;

  [[nodiscard]] uint64_t address() const { return address_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] uint8_t* bytes() const { return reinterpret_cast<uint8_t*>(address_); }

 private:
  uint64_t address_;
  size_t size_;
};

class FlatEnvironment final : public Environment, private arm64::SystemEffects {
 public:
  // Both must outlive the environment. Accesses outside `memory` take a translation fault.
  FlatEnvironment(arm64::CpuState& cpu, const FixedMemory& memory) : cpu_(cpu), memory_(memory) {}

  // --- what a test sets
  // An access that touches [faulting_from, faulting_to) faults; one that touches [device_from, device_to) is kExit.
  uint64_t faulting_from = 0, faulting_to = 0, device_from = 0, device_to = 0;
  // Faults only for writes.
  bool fault_writes_only = false;

  // --- what a test looks at
  struct Event {
    enum class Kind : uint8_t {
      kRead,
      kWrite,
      kAtomic,
      kCompareAndSwap,
      kLoadExclusive,
      kStoreExclusive,
      kClearExclusive,
      kSystemInstruction,
      kHypervisorCall,
      kSecureMonitorCall,
      kWaitForInterrupt,
      kWaitForEvent,
      kSendEvent,
      kYield,
      kMemoryBarrier,
      kInstructionBarrier,
      kPstateChanged,
      kFpControlChanged,
    } kind;
    uint64_t address = 0;  // or the immediate, the encoding, `full`
    unsigned size = 0;
    Access access{};
  };
  bool record = false;
  std::vector<Event> events;

  Outcome fetch(uint64_t va, uint32_t& insn) override;
  Outcome read(uint64_t va, unsigned size, Access access, void* data) override;
  Outcome write(uint64_t va, unsigned size, Access access, const void* data) override;
  Outcome atomic(uint64_t va, unsigned size, Access access, AtomicOp op, uint64_t operand, uint64_t& old_value) override;
  Outcome compare_and_swap(uint64_t va, unsigned size, Access access, void* expected, const void* desired) override;
  Outcome load_exclusive(uint64_t va, unsigned size, Access access, void* data) override;
  Outcome store_exclusive(uint64_t va, unsigned size, Access access, const void* data, bool& failed) override;
  void clear_exclusive() override;
  Outcome read_system_register(uint16_t encoding, uint32_t insn, uint64_t& value) override;
  Outcome write_system_register(uint16_t encoding, uint32_t insn, uint64_t value) override;
  Outcome system_instruction(uint16_t encoding, uint32_t insn, uint64_t value) override;
  Outcome hypervisor_call(uint16_t immediate) override;
  bool breakpoint_taken_outside(uint16_t) override { return false; }
  Outcome secure_monitor_call(uint16_t immediate) override;
  Outcome wait_for_interrupt() override;
  Outcome wait_for_event() override;
  void send_event() override;
  void yield() override;
  void memory_barrier(bool full) override;
  void instruction_barrier() override;
  void pstate_changed() override;
  void fp_control_changed() override;

 private:
  void translation_context_changed() override {}
  void fp_mode_changed() override {}
  void interrupt_mask_changed() override {}
  void debug_changed() override {}
  void tlbi(uint16_t, uint64_t) override {}
  void instruction_cache(uint16_t, uint64_t) override {}
  uint64_t physical_count() override { return ++count_; }
  void timer_changed() override {}
  bool read_icc(uint16_t, uint64_t&) override { return false; }
  bool write_icc(uint16_t, uint64_t) override { return false; }

  // Checks alignment, holes and devices.
  Outcome check(uint64_t va, unsigned size, Access access, bool write);
  Outcome sysreg_outcome(arm64::SysRegResult result, uint32_t insn);
  void note(Event::Kind kind, uint64_t address = 0, unsigned size = 0, Access access = {}) {
    if (record) [[unlikely]]
      events.push_back({kind, address, size, access});
  }

  arm64::CpuState& cpu_;
  const FixedMemory& memory_;
  uint64_t count_ = 0;
  // The local monitor: a range, empty when open.
  uint64_t exclusive_address_ = 0;
  unsigned exclusive_size_ = 0;
};

}  // namespace adyton::engine::interp::testing
