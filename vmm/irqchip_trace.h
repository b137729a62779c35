// What the interrupt controller tells a trace: interrupts as they become pending, those of virtio devices left out, which tell by
// themselves (vmm/virtio/mmio_transport.h).
#pragma once
#include <mutex>

#include "hypervisor/hypervisor.h"
#include "observe/trace_source.h"

namespace adyton::vmm {

class IrqchipTrace final : public hypervisor::IrqchipObserver {
 public:
  // Any thread. `writer` is not used any more when detach() returns.
  void attach(observe::RecordWriter& writer, uint32_t categories);
  void detach();

  void spi_raised(uint32_t intid) override;
  void ppi_raised(uint32_t intid, unsigned vcpu) override;
  void sgi_raised(uint32_t intid, unsigned vcpu, unsigned from) override;

 private:
  void write(const observe::TraceRaised& what);

  std::mutex mutex_;  // many threads write here
  observe::TraceSource source_;
};

}  // namespace adyton::vmm
