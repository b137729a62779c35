#include "vmm/irqchip_trace.h"

#include "vmm/board.h"

namespace adyton::vmm {
namespace {

using observe::TraceInterruptSource;

constexpr uint32_t number(TraceInterruptSource source) { return static_cast<uint32_t>(source); }

// PPIs of the generic timers (BSA, 3.8.1).
constexpr uint32_t kVirtualTimerIntid = 27, kPhysicalTimerIntid = 30;

}  // namespace

void IrqchipTrace::attach(observe::RecordWriter& writer, uint32_t categories) {
  source_.attach(writer, categories);
  want_interrupts(source_.wants(observe::TraceCategory::kInterrupt));
}

void IrqchipTrace::detach() {
  want_interrupts(false);
  source_.detach();
}

void IrqchipTrace::write(const observe::TraceRaised& what) {
  const std::lock_guard lock(mutex_);
  source_.write(observe::TraceType::kRaisedTo, what);
}

void IrqchipTrace::spi_raised(uint32_t intid) {
  if (intid >= board::kVirtioMmioIntid && intid < board::virtio_mmio_intid(board::kVirtioMmioCount)) return;
  const auto source = intid == board::kUartIntid       ? TraceInterruptSource::kUart
                      : intid == board::kRtcIntid      ? TraceInterruptSource::kRtc
                      : intid == board::kWatchdogIntid ? TraceInterruptSource::kWatchdog
                                                       : TraceInterruptSource::kSpi;
  write({.intid = intid, .source = number(source)});
}

void IrqchipTrace::ppi_raised(uint32_t intid, unsigned vcpu) {
  const auto source = intid == kVirtualTimerIntid    ? TraceInterruptSource::kVirtualTimer
                      : intid == kPhysicalTimerIntid ? TraceInterruptSource::kPhysicalTimer
                                                     : TraceInterruptSource::kPpi;
  write({.intid = intid, .source = number(source), .vcpu = vcpu});
}

void IrqchipTrace::sgi_raised(uint32_t intid, unsigned vcpu, unsigned from) {
  write({.intid = intid, .source = number(TraceInterruptSource::kSgi), .vcpu = vcpu, .from = from});
}

}  // namespace adyton::vmm
