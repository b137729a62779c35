// What a trace of a virtual machine leaves in its rings (observe/record_ring.h): one ring per vCPU and one per device, in the
// order of their numbers and addresses, and then one of the interrupt controller. Times are nanoseconds of CLOCK_MONOTONIC. There
// are no strings in it: whoever reads a trace names things by itself.
//
// The records come from a process that a guest may have taken over: a reader believes none of them (tools/trace/decoder.h).
#pragma once
#include <cstdint>

namespace adyton::observe {

// What a trace is asked for, and what each record belongs to. Bits of a mask.
enum class TraceCategory : uint32_t {
  kVcpu = 1 << 0,         // when each vCPU runs guest code, and why it stopped
  kTranslation = 1 << 1,  // each piece of guest code that was translated
  kInterrupt = 1 << 2,    // interrupts that devices raise and that vCPUs take
  kVirtio = 1 << 3,       // doorbells of virtqueues, and what was given back
  kVsock = 1 << 4,        // connections that open and close
};
// All of the VM's process. What the service and a reader add to them (calls, boot phases, the host's memory pressure) has no bit.
inline constexpr uint32_t kAllTraceCategories = 0x1f;
// Those that tell what goes on inside of the guest, and not only what it says to devices of the host: no host may have them of an
// isolated guest. The time and place of each exit, and which code runs first, are side channels to a guest's secrets.
inline constexpr uint32_t kInsideTraceCategories = static_cast<uint32_t>(TraceCategory::kVcpu) |
                                                   static_cast<uint32_t>(TraceCategory::kTranslation) |
                                                   static_cast<uint32_t>(TraceCategory::kInterrupt);

enum class TraceType : uint32_t {
  kGuestEnter = 1,   // nothing: this vCPU's thread starts to run guest code (hyp_exit, as AVF names it)
  kGuestExit = 2,    // TraceExit (hyp_enter)
  kTranslated = 3,   // TraceTranslation; the record's time is the end
  kInterrupt = 4,    // TraceInterrupt: this vCPU took it
  kQueueKick = 5,    // TraceQueue: the driver rang
  kQueueDone = 6,    // TraceQueue: chains were given back to the driver
  kRaised = 7,       // nothing: the device interrupts its driver
  kVsockOpened = 8,  // TraceVsock
  kVsockClosed = 9,
  // From the service, in a ring of its own.
  kCall = 10,      // TraceCall, and the method's name; the record's time is the end
  kRaisedTo = 11,  // TraceRaised: an interrupt became pending that is no virtio device's
};

// Why a vCPU left guest code.
enum class TraceExitReason : uint32_t {
  kMmio = 1,      // of the VMM's devices
  kIrqchip = 2,   // of the interrupt controller
  kDoorbell = 3,  // a virtqueue's
  kFirmware = 4,  // a PSCI or SMCCC call
  kWfi = 5,
  kWfe = 6,
  kKick = 7,  // somebody wanted it to
  kDebug = 8,
  kError = 9,
};
struct TraceExit {
  uint32_t reason = 0;
  uint32_t is_write = 0;  // kMmio, kIrqchip, kDoorbell
  uint64_t detail = 0;    // the guest-physical address, or the function of the firmware call
};

struct TraceTranslation {
  uint64_t begin = 0;  // its time
  uint64_t pc = 0;     // of the guest
  uint32_t instructions = 0;
  uint32_t reserved = 0;
};

struct TraceInterrupt {
  uint32_t intid = 0;
  uint32_t reserved = 0;
};

// Where an interrupt comes from.
enum class TraceInterruptSource : uint32_t {
  kSgi = 1,  // a vCPU: an inter-processor interrupt
  kVirtualTimer = 2,
  kPhysicalTimer = 3,
  kPpi = 4,  // another one of a vCPU's own
  kUart = 5,
  kRtc = 6,
  kWatchdog = 7,
  kSpi = 8,  // another device
};
struct TraceRaised {
  uint32_t intid = 0;
  uint32_t source = 0;
  uint32_t vcpu = 0;  // whose it is; nothing of those from kUart on, which the guest routes
  uint32_t from = 0;  // kSgi: the vCPU that sent it
};

struct TraceQueue {
  uint32_t queue = 0;
  uint32_t chains = 0;  // kQueueDone
};

struct TraceVsock {
  uint32_t guest_port = 0;
  uint32_t host_port = 0;
  uint32_t seqpacket = 0;
  uint32_t reserved = 0;
};

// A call that the service has served, of a client or of the guest.
struct TraceCall {
  uint64_t begin = 0;  // its time
  uint32_t succeeded = 0;
  uint32_t oneway = 0;
  uint32_t from_guest = 0;
  uint32_t reserved = 0;
};
inline constexpr size_t kMaxTraceCallName = 128;  // bytes

}  // namespace adyton::observe
