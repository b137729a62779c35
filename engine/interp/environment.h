// What one executing instruction needs from the rest of the machine. The machine implements it over the MMU, the devices and
// the TLBs; tests implement it over a flat array.
#pragma once
#include <cstdint>

namespace adyton::engine::interp {

// How an instruction, or one access of it, ended.
enum class Outcome : uint8_t {
  kDone,
  // An exception has been taken: PC is at the vector, the instruction has changed nothing else.
  kException,
  // The access must be completed outside (a device): nothing has changed, run the instruction again later.
  kExit,
};

// What is special about an access. The environment checks alignment: exclusive, atomic, acquire and release accesses must be
// naturally aligned (there is no FEAT_LSE2), others when SCTLR_EL1.A says so or the memory is Device. LDXP, STXP and CASP make
// one access of twice the register size; LDP and STP make two accesses.
struct Access {
  bool unprivileged = false;   // LDTR and STTR, unless PSTATE.UAO or EL0 make them ordinary
  bool acquire = false;        // LDAR, LDAXR, LDAPR and atomics with A
  bool release = false;        // STLR, STLXR and atomics with L
  bool exclusive = false;      // LDXR and STXR: natural alignment is required
  bool atomic = false;         // LSE: natural alignment is required
};

enum class AtomicOp : uint8_t { kAdd, kClear, kXor, kSet, kSignedMax, kSignedMin, kUnsignedMax, kUnsignedMin, kSwap };

class Environment {
 public:
  virtual ~Environment() = default;

  virtual Outcome fetch(uint64_t va, uint32_t& insn) = 0;
  // `size` is 1, 2, 4, 8 or 16 bytes, little-endian in `data`.
  virtual Outcome read(uint64_t va, unsigned size, Access access, void* data) = 0;
  virtual Outcome write(uint64_t va, unsigned size, Access access, const void* data) = 0;

  // Single-copy atomic read-modify-write; `old_value` receives what memory held. Size 1, 2, 4, 8.
  virtual Outcome atomic(uint64_t va, unsigned size, Access access, AtomicOp op, uint64_t operand, uint64_t& old_value) = 0;
  // Size 1..16. `expected` receives what memory held; the store happens when it was equal.
  virtual Outcome compare_and_swap(uint64_t va, unsigned size, Access access, void* expected, const void* desired) = 0;
  // LDXR: reads and arms the local monitor. STXR: stores if the monitor still holds, `failed` as in Ws.
  virtual Outcome load_exclusive(uint64_t va, unsigned size, Access access, void* data) = 0;
  virtual Outcome store_exclusive(uint64_t va, unsigned size, Access access, const void* data, bool& failed) = 0;
  virtual void clear_exclusive() = 0;

  // MRS, MSR (register) and SYS with op0:op1:CRn:CRm:op2 packed as arm64::sysreg_encoding does. They raise UNDEFINED and traps
  // themselves.
  virtual Outcome read_system_register(uint16_t encoding, uint32_t insn, uint64_t& value) = 0;
  virtual Outcome write_system_register(uint16_t encoding, uint32_t insn, uint64_t value) = 0;
  virtual Outcome system_instruction(uint16_t encoding, uint32_t insn, uint64_t value) = 0;  // IC, DC, AT, TLBI

  virtual Outcome hypervisor_call(uint16_t immediate) = 0;   // PC is already past the HVC
  virtual Outcome secure_monitor_call(uint16_t immediate) = 0;
  // BRK: true when somebody outside the guest takes it (the outcome is then kExit, PC stays on it), false when the guest does.
  virtual bool breakpoint_taken_outside(uint16_t immediate) = 0;
  virtual Outcome wait_for_interrupt() = 0;                  // PC is already past the WFI
  virtual Outcome wait_for_event() = 0;
  virtual void send_event() = 0;
  virtual void yield() = 0;
  virtual void memory_barrier(bool full) = 0;                // DMB, DSB: `full` orders earlier stores before later loads
  virtual void instruction_barrier() = 0;                    // ISB
  // PSTATE fields written by MSR (immediate) or ERET: interrupt mask, PAN, UAO, SP, EL.
  virtual void pstate_changed() = 0;
  // FPCR was written.
  virtual void fp_control_changed() = 0;
};

}  // namespace adyton::engine::interp
