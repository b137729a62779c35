// How long each part of a VM's start took, from the times that the programs on the way have noted.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace adyton::observe {

// Nanoseconds of CLOCK_MONOTONIC; 0: not there yet.
struct BootTimes {
  uint64_t begin = 0;        // the start was asked for
  uint64_t configuring = 0;  // the VM's process is up, in its sandbox, and has its configuration
  uint64_t running = 0;      // the first guest instruction
  uint64_t hello = 0;        // the guest's init has reported
  uint64_t init_age = 0;     // how long it had run by then; its own word
  uint64_t payload = 0;      // the payload was executed
};

struct BootPhase {
  std::string_view name;
  uint64_t begin = 0;
  uint64_t end = 0;
  bool operator==(const BootPhase&) const = default;
};

// "spawn", "load", "kernel", "init": those that are over, each where the one before it ended; "payload main", without length, is
// where they lead. Times that cannot be (a hostile VMM's or guest's) are moved to where they can.
std::vector<BootPhase> boot_phases(BootTimes times);

}  // namespace adyton::observe
