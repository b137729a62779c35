#include "vmm/vcpu_trace.h"

#include <utility>

namespace adyton::vmm {
namespace {

using observe::TraceCategory;
using observe::TraceExitReason;

TraceExitReason trace_reason(hypervisor::ExitReason reason) {
  switch (reason) {
    case hypervisor::ExitReason::kMmio: return TraceExitReason::kMmio;
    case hypervisor::ExitReason::kIrqchip: return TraceExitReason::kIrqchip;
    case hypervisor::ExitReason::kDoorbell: return TraceExitReason::kDoorbell;
    case hypervisor::ExitReason::kFirmware: return TraceExitReason::kFirmware;
    case hypervisor::ExitReason::kWfi: return TraceExitReason::kWfi;
    case hypervisor::ExitReason::kWfe: return TraceExitReason::kWfe;
    case hypervisor::ExitReason::kKick: return TraceExitReason::kKick;
    case hypervisor::ExitReason::kDebug: return TraceExitReason::kDebug;
    case hypervisor::ExitReason::kError: break;
  }
  return TraceExitReason::kError;
}

}  // namespace

void VcpuTrace::attach(observe::RecordWriter& writer, uint32_t categories) {
  source_.attach(writer, categories);
  uint32_t interests = 0;
  if (source_.wants(TraceCategory::kVcpu)) interests |= kRuns;
  if (source_.wants(TraceCategory::kTranslation)) interests |= kTranslations;
  if (source_.wants(TraceCategory::kInterrupt)) interests |= kInterrupts;
  want(interests);
}

void VcpuTrace::detach() {
  want(0);
  source_.detach();
}

void VcpuTrace::exited(hypervisor::ExitReason reason, uint64_t detail, bool is_write) {
  source_.write(observe::TraceType::kGuestExit,
                observe::TraceExit{.reason = static_cast<uint32_t>(trace_reason(reason)), .is_write = is_write, .detail = detail},
                left_);
}

void VcpuTrace::translated(uint64_t pc, uint32_t instructions) {
  const uint64_t begin = std::exchange(translation_begin_, 0);
  if (begin == 0) return;
  source_.write(observe::TraceType::kTranslated,
                observe::TraceTranslation{.begin = begin, .pc = pc, .instructions = instructions});
}

}  // namespace adyton::vmm
