// The engine's public face: a software AArch64 CPU that the soft hypervisor backend drives the way KVM drives a hardware one.
//
// One Machine per VM, one Cpu per vCPU. run() executes guest code on the calling thread until something outside the CPU is needed
// and says what. Threading: run(), state() and complete_mmio() belong to the vCPU's thread; kick(), set_irq() and set_fiq() may be called from any.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"
#include "engine/arm64/cpu_state.h"

namespace adyton::engine {

// Why run() came back.
struct Exit {
  enum class Reason : uint8_t {
    kMmio,          // access to an address without memory; answer with complete_mmio(), then run() again
    kHypercall,     // HVC: arguments and results are in x0..x17; PC is past it
    kSecureCall,    // SMC, likewise
    kWaitForInterrupt,  // WFI (or WFE with nothing to do): run() again when an interrupt is pending or after `kick`; PC is past it
    kKicked,        // kick() was called
    kDebug,         // breakpoint or single step asked for by the debugger
    kInternalError, // the engine cannot go on; `message` says why
  } reason = Reason::kKicked;

  struct Mmio {
    GuestPhysAddr address = 0;
    uint64_t data = 0;     // to be written, or ignored for reads
    uint8_t size = 0;      // 1, 2, 4, 8
    bool is_write = false;
  } mmio;
  bool wait_for_event = false;   // kWaitForInterrupt came from WFE: bounded sleep
  // kDebug: the exception as a debugger above the guest would find it in ESR_EL2 (EC 0x30 breakpoint, 0x32 step, 0x34 watchpoint, 0x3c BRK) and
  // FAR_EL2 (watchpoints: an address that is watched and was about to be accessed). The PC is that of the instruction, which has not been executed
  // (breakpoints, watchpoints, BRK), or of the next one (step).
  struct Debug {
    uint32_t syndrome = 0;
    uint64_t far = 0;
  } debug;
  const char* message = "";
};

// What the CPU asks of the board around it, without leaving run(). Called on the vCPU's thread. Implementations must be fast and must not block.
class CpuHost {
 public:
  virtual ~CpuHost() = default;
  // GICv3 CPU interface registers (ICC_*_EL1), encoding as arm64::sysreg_encoding. False: no such register.
  virtual bool read_icc(uint16_t encoding, uint64_t& value) = 0;
  virtual bool write_icc(uint16_t encoding, uint64_t value) = 0;
  // A generic timer register of this CPU changed (they live in CpuState); recompute deadlines and interrupt levels.
  virtual void timer_changed() = 0;
  // SEV or a store-release-like event for WFE sleepers on other CPUs.
  virtual void send_event() = 0;
  // For traces: guest code is about to be translated; and has been, `instructions` of it from `pc` on.
  virtual void translating() {}
  virtual void translated(uint64_t pc, uint32_t instructions) {
    static_cast<void>(pc);
    static_cast<void>(instructions);
  }
};

// What a CPU has done since it was made.
struct CpuStatistics {
  uint64_t translated_blocks = 0;
  uint64_t translated_instructions = 0;  // of the guest
  uint64_t tlb_refills = 0;              // misses of the first TLB level that the second one answered
  uint64_t table_walks = 0;              // and that took a walk of the translation tables
  uint64_t interrupts = 0;               // IRQs and FIQs taken
};

// The translated code of a machine.
struct CodeStatistics {
  uint64_t bytes = 0;     // in use, of both host code and what belongs to it
  uint64_t capacity = 0;  // bytes
  uint64_t flushes = 0;   // times that it was full and all of it was dropped
};

struct CpuConfig {
  unsigned index = 0;
  uint64_t affinity = 0;    // MPIDR_EL1 affinity fields
};

struct EngineConfig {
  // Run everything in the reference interpreter (slow; for comparison).
  bool interpret = false;
  // Use nothing of the host's processor but the baseline (x86-64-v3, AES, PCLMULQDQ), whatever it has: for comparison.
  bool baseline_host = false;
  // Upper bound of translated code, in bytes.
  uint64_t code_cache_size = 512ull << 20;
};

// What a debugger outside the guest wants of one CPU. The guest does not see it in its own debug registers, which keep working.
struct DebugControl {
  static constexpr unsigned kBreakpoints = 16, kWatchpoints = 16;
  // run() comes back after one instruction, or after the exception that it takes. Interrupts wait, so that a step is never into their handler.
  bool single_step = false;
  // BRK leaves run() instead of being taken by the guest.
  bool software_breakpoints = false;
  // DBGBVR/DBGBCR and DBGWVR/DBGWCR as Arm ARM D19.3 lays them out: E, PMC/PAC, HMC, SSC, and for watchpoints LSC, BAS and MASK. Breakpoints are unlinked address
  // matches; an enabled one of another type never hits.
  std::array<uint64_t, kBreakpoints> breakpoint_value{}, breakpoint_control{};
  std::array<uint64_t, kWatchpoints> watchpoint_value{}, watchpoint_control{};
};

class Cpu {
 public:
  virtual ~Cpu() = default;
  virtual Exit run() = 0;
  virtual void complete_mmio(uint64_t data) = 0;
  virtual void kick() = 0;
  // Levels of the interrupt inputs, after the GIC's priority masking.
  virtual void set_irq(bool level) = 0;
  virtual void set_fiq(bool level) = 0;
  [[nodiscard]] virtual bool irq() const = 0;
  virtual arm64::CpuState& state() = 0;
  // Must be called by whoever changed `state()` between two run() calls.
  virtual void state_changed() = 0;
  // Any thread.
  [[nodiscard]] virtual CpuStatistics statistics() const = 0;

  // --- For a debugger; between two run() calls, on the vCPU's thread or with that thread standing still.
  virtual void set_debug(const DebugControl& control) = 0;
  // Where `va` leads at EL1 in the present translation regime, whatever the permissions; nothing changes in the guest's tables. None: it is not mapped.
  [[nodiscard]] virtual std::optional<GuestPhysAddr> debug_translate(uint64_t va) = 0;
};

class Machine {
 public:
  static Result<std::unique_ptr<Machine>> create(const EngineConfig& config, const GuestMemory& memory);
  virtual ~Machine() = default;
  // All CPUs are made before the first one runs, and live as long as the machine.
  virtual Result<Cpu*> create_cpu(const CpuConfig& config, CpuHost& host) = 0;
  // Any thread.
  [[nodiscard]] virtual CodeStatistics code_statistics() const = 0;
  // Somebody outside the guest changed instructions in [pa, pa + size): no CPU that enters a block afterwards runs the old ones. Any thread that is
  // not in run().
  virtual void invalidate_code(GuestPhysAddr pa, uint64_t size) = 0;
};

// What the engine found in this host's processor that it can use, for people to read. The error names everything that it needs and does not find.
Result<std::vector<std::string>> host_features();

// Frequency of CNTVCT_EL0/CNTPCT_EL0 in Hz, and the physical count now; both derive from the host's invariant TSC.
uint64_t counter_frequency();
uint64_t physical_count();

}  // namespace adyton::engine
