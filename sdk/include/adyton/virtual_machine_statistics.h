// What a virtual machine that runs has done since it was started. All but the threads is what the VM's own process tells: a guest
// that has taken that over can make it up.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace adyton {

struct VirtualMachineStatistics {
  struct Queue {
    uint64_t kicks = 0;   // doorbells that woke the device
    uint64_t chains = 0;  // descriptor chains that the device has given back
    uint64_t bytes_from_guest = 0;
    uint64_t bytes_to_guest = 0;
  };
  struct Device {
    std::string name;  // "virtio-blk"
    uint64_t interrupts = 0;
    std::vector<Queue> queues;
  };
  struct Vsock {
    uint64_t connections = 0;  // open now
    uint64_t opened = 0;       // ever, by either side
    uint64_t refused = 0;
    uint64_t bytes_from_guest = 0;  // payload
    uint64_t bytes_to_guest = 0;
  };

  // Bytes. What the guest does not tell is empty.
  struct Balloon {
    uint64_t target = 0;    // that it is to have
    uint64_t actual = 0;    // that it has, as the guest says
    uint64_t returned = 0;  // given back to the host since the start, free pages that the guest reported included
    std::optional<uint64_t> guest_free, guest_available, guest_total, guest_caches;
  };

  // Time on CPUs by the thread's name ("vcpu0", "virtio-blk"), as the host's kernel sees it.
  std::map<std::string, std::chrono::milliseconds> thread_times;
  // What the backend counts; of a vCPU "exits.REASON" and more.
  std::map<std::string, uint64_t> counts;
  std::vector<std::map<std::string, uint64_t>> vcpus;
  std::vector<Device> devices;
  Vsock vsock;
  Balloon balloon;

  // Of all vCPUs, for every reason.
  [[nodiscard]] uint64_t exits() const;
};

}  // namespace adyton
