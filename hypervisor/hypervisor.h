// What Adyton asks of a hypervisor. The shape is KVM's (Documentation/virt/kvm/api.rst), so that /dev/kvm is a thin backend and
// the devices above cannot tell it from the software CPU: a VM has memory slots, an in-kernel interrupt controller, doorbells
// (ioeventfd), interrupt wires (irqfd), and vCPUs that run until something outside of them is needed. What KVM does in the kernel
// (GICv3, generic timers, PSCI) every backend does inside run().
//
// Order of use: set_memory, create_vcpu for every index, create_irqchip, then Vcpu::run on one thread per vCPU.
// Threading: everything before the first run() on one thread. Afterwards Vm's methods may be called from any thread; Vcpu's
// belong to the vCPU's own thread, except kick(); a debugger may call those that are for between two run() calls while that
// thread stands still. No method of Vm waits for a vCPU to leave run(). A Vm outlives its vCPUs' threads.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"

namespace adyton::hypervisor {

// Who may look into the guest.
enum class IsolationLevel : uint8_t {
  kNone,        // the host, and this process, may
  kProcess,     // only the backend's own process and the host kernel may
  kHypervisor,  // the host kernel may not either
};
std::string_view to_string(IsolationLevel level);

struct Capabilities {
  std::string_view backend;  // "soft", "kvm"
  IsolationLevel isolation = IsolationLevel::kNone;
  unsigned max_vcpus = 0;              // KVM_CAP_MAX_VCPUS
  unsigned max_intid = 0;              // interrupt ids below this may be asked of create_irqchip
  unsigned physical_address_bits = 0;  // KVM_CAP_ARM_VM_IPA_SIZE
  bool guest_debug = false;            // KVM_CAP_SET_GUEST_DEBUG
  unsigned hardware_breakpoints = 0;   // KVM_CAP_GUEST_DEBUG_HW_BPS
  unsigned hardware_watchpoints = 0;   // KVM_CAP_GUEST_DEBUG_HW_WPS
  bool el2 = false;                    // KVM_CAP_ARM_EL2: guests may use virtualization themselves
};

// KVM_CREATE_DEVICE(KVM_DEV_TYPE_ARM_VGIC_V3). Redistributors of vCPU 0, 1, ... follow each other, 128 KiB each.
struct IrqchipConfig {
  GuestPhysAddr distributor_base = 0;    // KVM_VGIC_V3_ADDR_TYPE_DIST, 64 KiB aligned
  GuestPhysAddr redistributor_base = 0;  // KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, 64 KiB aligned
  uint32_t nr_irqs = 0;                  // KVM_DEV_ARM_VGIC_GRP_NR_IRQS: SGIs, PPIs and SPIs together; 64..1024, a multiple of 32
};
constexpr uint64_t kDistributorSize = 0x10000;
constexpr uint64_t kRedistributorSize = 0x20000;
constexpr uint32_t kFirstSpi = 32;

// A doorbell: a guest write that signals an eventfd and never leaves run(). KVM_IOEVENTFD.
struct IoEventFd {
  GuestPhysAddr address = 0;
  uint32_t length = 0;      // 1, 2, 4 or 8: the write must have this size
  bool match_data = false;  // KVM_IOEVENTFD_FLAG_DATAMATCH: only writes of `data` ring
  uint64_t data = 0;
  int eventfd = -1;  // the VM keeps a duplicate
};

// --- Why run() came back (struct kvm_run's exit_reason).

// An access that neither memory, the irqchip nor a doorbell took. KVM_EXIT_MMIO.
struct MmioExit {
  GuestPhysAddr address = 0;
  bool is_write = false;
  // 1, 2, 4 or 8 bytes inside the vCPU, valid until the next run(). For a write: what the guest wrote. For a read: the caller
  // puts the answer here before it calls run() again (it is zero until then).
  std::span<uint8_t> data;
};
// KVM_EXIT_SYSTEM_EVENT. Delivered on the vCPU that asked; the others keep running until they are kicked.
struct SystemEventExit {
  enum class Type : uint8_t { kShutdown, kReset, kCrash } type = Type::kShutdown;
  uint64_t detail = 0;  // SYSTEM_RESET2's reset type
};
// kick() was called. KVM_RUN's EINTR.
struct InterruptedExit {};
// A breakpoint, watchpoint or single step that KVM_SET_GUEST_DEBUG asked for. KVM_EXIT_DEBUG with struct kvm_debug_exit_arch. The
// PC is that of the instruction, which has not been executed; after a step it is that of the next one.
struct DebugExit {
  uint32_t hsr = 0;  // ESR_EL2: the class in bits 31:26 is 0x30 breakpoint, 0x32 step, 0x34 watchpoint, 0x3c BRK with its number
                     // in bits 15:0
  uint64_t far = 0;  // FAR_EL2, for watchpoints: an address that is watched and was about to be accessed
};
// The backend cannot go on with this vCPU. KVM_EXIT_INTERNAL_ERROR.
struct InternalErrorExit {
  std::string message;
};
using Exit = std::variant<InterruptedExit, MmioExit, SystemEventExit, DebugExit, InternalErrorExit>;

// A named count since the VM was made, as KVM_GET_STATS_FD offers them; a dot separates a family from its member ("exits.mmio").
// What there is depends on the backend.
struct Statistic {
  std::string_view name;  // lives as long as the program
  uint64_t value = 0;
};

// --- Register ids, as KVM_GET_ONE_REG numbers them (uapi asm/kvm.h).
constexpr uint64_t kRegArm64 = 0x6000'0000'0000'0000;
constexpr uint64_t kRegSizeU32 = 0x0020'0000'0000'0000;
constexpr uint64_t kRegSizeU64 = 0x0030'0000'0000'0000;
constexpr uint64_t kRegSizeU128 = 0x0040'0000'0000'0000;
constexpr uint64_t kRegArmCore = 0x0010'0000;
constexpr uint64_t kRegArm64Sysreg = 0x0013'0000;
constexpr unsigned register_size(uint64_t id) { return 1u << ((id >> 52) & 0xf); }  // bytes

// Core registers: the offset of a field of struct kvm_regs, in 32-bit words.
constexpr uint64_t core_register(uint64_t size, unsigned byte_offset) {
  return kRegArm64 | size | kRegArmCore | (byte_offset / 4);
}
constexpr uint64_t reg_x(unsigned n) { return core_register(kRegSizeU64, 8 * n); }  // n = 0..30
constexpr uint64_t kRegSp = core_register(kRegSizeU64, 248);                        // SP_EL0
constexpr uint64_t kRegPc = core_register(kRegSizeU64, 256);
constexpr uint64_t kRegPstate = core_register(kRegSizeU64, 264);
constexpr uint64_t kRegSpEl1 = core_register(kRegSizeU64, 272);
constexpr uint64_t kRegElrEl1 = core_register(kRegSizeU64, 280);
constexpr uint64_t kRegSpsrEl1 = core_register(kRegSizeU64, 288);
constexpr uint64_t reg_v(unsigned n) { return core_register(kRegSizeU128, 336 + 16 * n); }  // n = 0..31
constexpr uint64_t kRegFpsr = core_register(kRegSizeU32, 848);
constexpr uint64_t kRegFpcr = core_register(kRegSizeU32, 852);
// KVM_SET_GUEST_DEBUG: struct kvm_guest_debug with struct kvm_guest_debug_arch. The guest does not see it in its own debug
// registers.
struct GuestDebug {
  static constexpr unsigned kMaxHardwareRegisters = 16;  // KVM_ARM_MAX_DBG_REGS
  bool enable = false;                                   // KVM_GUESTDBG_ENABLE: without it the rest is ignored
  // KVM_GUESTDBG_SINGLESTEP: run() returns after one instruction, or after the exception that it takes. Interrupts wait meanwhile
  // (x86's KVM_GUESTDBG_BLOCKIRQ).
  bool single_step = false;
  bool software_breakpoints = false;  // KVM_GUESTDBG_USE_SW_BP: BRK makes a DebugExit instead of an exception in the guest
  // KVM_GUESTDBG_USE_HW: DBGBVR, DBGBCR, DBGWVR and DBGWCR (Arm ARM D19.3), as many as the capabilities say; unlinked.
  bool hardware = false;
  std::array<uint64_t, kMaxHardwareRegisters> dbg_bcr{}, dbg_bvr{}, dbg_wcr{}, dbg_wvr{};
  bool operator==(const GuestDebug&) const = default;
};

constexpr uint64_t reg_sysreg(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return kRegArm64 | kRegSizeU64 | kRegArm64Sysreg | (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
}

// How a vCPU starts: KVM_ARM_VCPU_INIT, with KVM_ARM_VCPU_POWER_OFF unless `powered_on`, then PC and x0.
struct VcpuInit {
  bool powered_on = false;  // otherwise run() waits for a PSCI CPU_ON that names this vCPU
  uint64_t entry = 0;       // PC
  uint64_t x0 = 0;
};

// Why guest code stopped running, whether run() dealt with it or came back.
enum class ExitReason : uint8_t { kMmio, kIrqchip, kDoorbell, kFirmware, kWfi, kWfe, kKick, kDebug, kError };

// Hears of what a vCPU does inside run(), as the trace points of KVM tell it (kvm_entry, kvm_exit, vgic). On the vCPU's thread;
// it must be fast and must not block. While nothing is wanted this costs a load and a branch at each exit, and nothing in guest
// code.
class VcpuObserver {
 public:
  enum Interest : uint32_t { kRuns = 1, kTranslations = 2, kInterrupts = 4 };
  virtual ~VcpuObserver() = default;
  [[nodiscard]] bool wants(Interest what) const { return (wanted_.load(std::memory_order_relaxed) & what) != 0; }

  virtual void entering() = 0;
  // Guest code has stopped running; and why it has, told before anything else happens. `detail`: the guest-physical address of an
  // access, or the function of a firmware call.
  virtual void left() = 0;
  virtual void exited(ExitReason reason, uint64_t detail, bool is_write) = 0;
  // Guest code is translated: from translating() to translated(). Only by backends that do.
  virtual void translating() = 0;
  virtual void translated(uint64_t pc, uint32_t instructions) = 0;
  // The guest has acknowledged an interrupt.
  virtual void interrupted(uint32_t intid) = 0;

 protected:
  void want(uint32_t interests) { wanted_.store(interests, std::memory_order_relaxed); }  // any thread

 private:
  std::atomic<uint32_t> wanted_ = 0;
};

// Hears of interrupts as they become pending; those of KVM do so inside of the host's kernel, which tells of none. On any thread,
// with locks held: it may do no more than note them. The same rule for its cost as for VcpuObserver.
class IrqchipObserver {
 public:
  virtual ~IrqchipObserver() = default;
  [[nodiscard]] bool wants_interrupts() const { return wanted_.load(std::memory_order_relaxed); }

  // The wire of an SPI, or of a PPI of that vCPU, has gone up.
  virtual void spi_raised(uint32_t intid) = 0;
  virtual void ppi_raised(uint32_t intid, unsigned vcpu) = 0;
  // One vCPU has sent an interrupt to another, or to itself, that had none of that number pending.
  virtual void sgi_raised(uint32_t intid, unsigned vcpu, unsigned from) = 0;

 protected:
  void want_interrupts(bool wanted) { wanted_.store(wanted, std::memory_order_relaxed); }  // any thread

 private:
  std::atomic<bool> wanted_ = false;
};

class Vcpu {
 public:
  virtual ~Vcpu() = default;

  [[nodiscard]] virtual unsigned index() const = 0;
  // MPIDR_EL1 affinity: index 0..15 in Aff0, the rest in Aff1, so that every vCPU is in reach of one SGI target list.
  [[nodiscard]] virtual uint64_t affinity() const = 0;

  // Architectural reset, MMU off, EL1h, interrupts masked. Not while run() is in progress.
  virtual Result<void> init(const VcpuInit& init) = 0;

  // Runs the guest on the calling thread. An error means that the backend itself failed and the VM is over. KVM_RUN.
  virtual Result<Exit> run() = 0;

  // Makes the run() in progress, or else the next one, return InterruptedExit soon; several kicks may become one. Any thread.
  // KVM: a signal and kvm_run.immediate_exit.
  virtual void kick() = 0;

  // KVM_GET_ONE_REG, KVM_SET_ONE_REG; the span is register_size(id) bytes. Between two run() calls. kNotFound: no such register.
  virtual Result<void> get_one_reg(uint64_t id, std::span<uint8_t> value) = 0;
  virtual Result<void> set_one_reg(uint64_t id, std::span<const uint8_t> value) = 0;

  // Any thread.
  [[nodiscard]] virtual std::vector<Statistic> statistics() const = 0;
  // --- For debuggers; between two run() calls, on any thread as long as run() is not called meanwhile.
  // Replaces what was asked for before. kUnsupported unless Capabilities::guest_debug.
  virtual Result<void> set_guest_debug(const GuestDebug& debug);
  // Where the guest's virtual address leads in the vCPU's present translation regime, at EL1 and whatever the permissions.
  // Changes nothing, the access flag included. KVM_TRANSLATE. kNotFound: it is not mapped.
  virtual Result<GuestPhysAddr> translate(uint64_t va);
  // PSCI has it on. KVM_GET_MP_STATE.
  [[nodiscard]] virtual bool powered_on() const { return true; }

  // Before the first run(). It outlives the vCPU's thread. A backend that has nothing to tell ignores it.
  virtual void observe(VcpuObserver& observer) { static_cast<void>(observer); }

  Result<uint64_t> get_reg(uint64_t id);  // 32- and 64-bit registers
  Result<void> set_reg(uint64_t id, uint64_t value);
};

constexpr uint64_t vcpu_affinity(unsigned index) { return (index & 15) | (static_cast<uint64_t>(index >> 4) << 8); }

class Vm {
 public:
  virtual ~Vm() = default;

  [[nodiscard]] virtual const Capabilities& capabilities() const = 0;

  // Gives the guest these regions; once, and `memory` outlives the VM. KVM_SET_USER_MEMORY_REGION for each.
  virtual Result<void> set_memory(const GuestMemory& memory) = 0;

  // Indices 0, 1, 2, ... in order. The VM owns it. KVM_CREATE_VCPU.
  virtual Result<Vcpu*> create_vcpu(unsigned index) = 0;

  // Once, after the last create_vcpu.
  virtual Result<void> create_irqchip(const IrqchipConfig& config) = 0;

  // Somebody outside the guest wrote to [address, address + size): the vCPUs execute what is there now. Any thread that is not in
  // run().
  virtual void memory_written(GuestPhysAddr address, uint64_t size) = 0;
  // The guest's virtual counter (CNTVCT_EL0) stands still until restart_counter(); its physical one goes on. Both while no vCPU
  // is in run(), in turn. KVM: KVM_REG_ARM_TIMER_CNT read, and written again.
  virtual void stop_counter() = 0;
  virtual void restart_counter() = 0;
  // What CNTVCT_EL0 shows now, unless the guest has moved it (CNTVOFF_EL2), and what CNTFRQ_EL0 says (Hz). Any thread. KVM:
  // KVM_REG_ARM_TIMER_CNT.
  [[nodiscard]] virtual uint64_t counter() const = 0;
  [[nodiscard]] virtual uint64_t counter_frequency() const = 0;

  // The level of the wire of an SPI (`intid` 32 and up). Any thread. KVM_IRQ_LINE with KVM_ARM_IRQ_TYPE_SPI.
  virtual Result<void> set_irq_line(uint32_t intid, bool level) = 0;

  // From now on a write to `eventfd` pulses the SPI's wire (for edge-triggered interrupts). The VM keeps a duplicate. KVM_IRQFD.
  virtual Result<void> add_irqfd(int eventfd, uint32_t intid) = 0;
  // KVM_IRQFD_FLAG_DEASSIGN. kNotFound when it is not there. After it returns the wire is not touched for it any more.
  virtual Result<void> remove_irqfd(int eventfd, uint32_t intid) = 0;

  // kInvalidArgument for a bad length or when the same match exists.
  virtual Result<void> add_ioeventfd(const IoEventFd& doorbell) = 0;
  // The one with the same address, length and match. KVM_IOEVENTFD_FLAG_DEASSIGN.
  virtual Result<void> remove_ioeventfd(const IoEventFd& doorbell) = 0;

  // Before the first vCPU runs. It outlives the VM. A backend that has nothing to tell ignores it.
  virtual void observe_irqchip(IrqchipObserver& observer) { static_cast<void>(observer); }

  // Any thread.
  [[nodiscard]] virtual std::vector<Statistic> statistics() const = 0;
};

}  // namespace adyton::hypervisor
