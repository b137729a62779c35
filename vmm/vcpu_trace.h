// What a vCPU tells a trace of itself.
#pragma once
#include "hypervisor/hypervisor.h"
#include "observe/trace_source.h"

namespace adyton::vmm {

class VcpuTrace final : public hypervisor::VcpuObserver {
 public:
  // Any thread but the vCPU's. `writer` is not used any more when detach() returns.
  void attach(observe::RecordWriter& writer, uint32_t categories);
  void detach();

  void entering() override { source_.write(observe::TraceType::kGuestEnter); }
  void left() override { left_ = observe::TraceSource::now(); }
  void exited(hypervisor::ExitReason reason, uint64_t detail, bool is_write) override;
  void translating() override { translation_begin_ = observe::TraceSource::now(); }
  void translated(uint64_t pc, uint32_t instructions) override;
  void interrupted(uint32_t intid) override {
    source_.write(observe::TraceType::kInterrupt, observe::TraceInterrupt{.intid = intid});
  }

 private:
  observe::TraceSource source_;
  // The vCPU thread's own.
  uint64_t left_ = 0;
  uint64_t translation_begin_ = 0;  // 0: the trace did not see it
};

}  // namespace adyton::vmm
