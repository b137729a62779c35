// The trace of one VM: a ring for each vCPU, each device and the interrupt controller, in memory that a client brings.
//
// A trace never holds up the guest: what its reader is too slow for is dropped and counted (observe/record_ring.h). It ends when
// its reader closes its end of the socket. While there is none, a thread that could write a record looks at a word of memory.
//
// Threading: add() before start(); start() from any thread but the loop's. The sources, their threads and the loop outlive it.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "hypervisor/hypervisor.h"
#include "observe/record_ring.h"
#include "observe/trace_source.h"
#include "vmm/irqchip_trace.h"
#include "vmm/vcpu_trace.h"
#include "vmm/virtio/event_loop.h"

namespace adyton::vmm {

class Tracer {
 public:
  // `loop` waits for the reader's end. Of an isolated guest, nobody gets what goes on inside of it.
  Tracer(virtio::EventLoop& loop, hypervisor::IsolationLevel isolation) : loop_(loop), isolation_(isolation) {}
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  void add_vcpu(VcpuTrace& trace) { threads_.push_back({.vcpu = &trace}); }
  void add_device(observe::TraceSource& trace) { threads_.push_back({.device = &trace}); }
  void add_irqchip(IrqchipTrace& trace) { threads_.push_back({.irqchip = &trace}); }

  // Records of `categories` (observe::TraceCategory) go to the rings, one for each thread in the order in which they were added,
  // until the socket whose other end is returned is closed. kInvalidArgument for another number of rings, kCorrupt for a memory
  // that holds none, kPermission for what an isolated guest keeps to itself, kExhausted while another trace runs.
  Result<UniqueFd> start(int rings, size_t ring_count, uint32_t categories);

 private:
  struct Thread {
    VcpuTrace* vcpu = nullptr;
    observe::TraceSource* device = nullptr;
    IrqchipTrace* irqchip = nullptr;
  };
  struct Ring {
    explicit Ring(observe::RecordRing memory) : ring(std::move(memory)), writer(ring) {}
    observe::RecordRing ring;
    observe::RecordWriter writer;
  };
  struct Session {
    std::vector<std::unique_ptr<Ring>> rings;
    UniqueFd wake;
    virtio::EventLoop::WatchId watch = 0;
  };

  Result<void> begin(std::unique_ptr<Session> session, uint32_t categories);
  void end();

  virtio::EventLoop& loop_;
  const hypervisor::IsolationLevel isolation_;
  std::vector<Thread> threads_;
  std::unique_ptr<Session> session_;  // on the loop's thread
};

}  // namespace adyton::vmm
