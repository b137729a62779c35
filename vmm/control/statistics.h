// What a VM tells of its work: counts since it was made, in the answer to the control protocol's `statistics`.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace adyton::vmm::control {

inline constexpr size_t kMaxStatistics = 64;     // named counts of a VM or vCPU
inline constexpr size_t kMaxStatisticName = 64;  // bytes: letters, digits, '_' and '.'
inline constexpr size_t kMaxDevices = 64;
inline constexpr size_t kMaxQueues = 64;  // of one device

// One virtqueue, numbered by its place.
struct QueueStatistics {
  uint64_t kicks = 0;             // doorbells that the device was woken by
  uint64_t chains = 0;            // descriptor chains given back to the driver
  uint64_t bytes_from_guest = 0;  // in these
  uint64_t bytes_to_guest = 0;
  bool operator==(const QueueStatistics&) const = default;
};

struct DeviceStatistics {
  std::string name;         // "virtio-blk"
  uint64_t interrupts = 0;  // that it raised
  std::vector<QueueStatistics> queues;
  bool operator==(const DeviceStatistics&) const = default;
};

struct VsockStatistics {
  uint64_t connections = 0;         // now
  uint64_t opened = 0;              // of both sides, since the start
  uint64_t refused = 0;             // a RST was the answer to a REQUEST
  uint64_t payload_from_guest = 0;  // bytes
  uint64_t payload_to_guest = 0;    // bytes
  bool operator==(const VsockStatistics&) const = default;
};

// Bytes. What the guest does not tell is empty.
struct BalloonStatistics {
  uint64_t target = 0;    // that it is to have
  uint64_t actual = 0;    // that it has, as the guest says
  uint64_t returned = 0;  // given back to the host since the start, reported free pages included
  std::optional<uint64_t> guest_free, guest_available, guest_total, guest_caches;
  bool operator==(const BalloonStatistics&) const = default;
};

struct Statistics {
  uint32_t id = 0;  // the request's
  // Names of the backend's counts (hypervisor::Statistic), and their values, in the same order.
  std::vector<std::string> vm_names;
  std::vector<uint64_t> vm;
  std::vector<std::string> vcpu_names;
  std::vector<std::vector<uint64_t>> vcpus;
  std::vector<DeviceStatistics> devices;  // in the order of their addresses
  VsockStatistics vsock;
  // When the VM was configured, and its first instruction ran: nanoseconds of CLOCK_MONOTONIC, 0 if it has not.
  uint64_t configuring = 0;
  uint64_t running = 0;
  BalloonStatistics balloon;
  bool operator==(const Statistics&) const = default;
};

}  // namespace adyton::vmm::control
