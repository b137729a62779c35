// What the debugger's session needs of the VM that it debugs. The session knows no machine, so that tests give it a played one.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "hypervisor/hypervisor.h"

namespace adyton::vmm::gdb {

class Target {
 public:
  virtual ~Target() = default;

  virtual const std::vector<hypervisor::Vcpu*>& vcpus() = 0;
  virtual const hypervisor::Capabilities& capabilities() = 0;
  virtual const GuestMemory& memory() = 0;
  // Instructions in that range may have changed.
  virtual void memory_written(GuestPhysAddr address, uint64_t size) = 0;

  // Every vCPU stands still when it returns. Only then are their registers, translate() and set_guest_debug() used.
  virtual void hold() = 0;
  // Those whose entry is true go on.
  virtual void release(const std::vector<bool>& which) = 0;
  // Pulls the plug.
  virtual void kill() = 0;

  struct Stop {
    unsigned vcpu = 0;
    hypervisor::DebugExit exit;
  };
  // A vCPU came to a breakpoint, a watchpoint or the end of a step, and everything stands still. Until release().
  virtual std::optional<Stop> stop() = 0;
  // The guest is over: whether by its own will, or with which signal a Unix person would describe it.
  struct End {
    std::optional<unsigned> signal;
  };
  virtual std::optional<End> end() = 0;
};

}  // namespace adyton::vmm::gdb
