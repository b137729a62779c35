// A VM that has a given kind of thread, and its end when that thread is made to do something.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace adyton::e2e {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kFilters = false;
#else
inline constexpr bool kFilters = true;
#endif

struct ThreadKind {
  const char* policy;
  const char* thread;  // one of that kind, as reports call it
};
inline constexpr ThreadKind kThreadKinds[] = {{"setup", "main"},
                                              {"control", "control"},
                                              {"vcpu", "vcpu1"},
                                              {"virtio-blk", "virtio-blk"},
                                              {"virtio-rng", "virtio-rng"},
                                              {"virtio-balloon", "virtio-balloon"},
                                              {"virtio-console", "virtio-console"},
                                              {"virtio-vsock", "virtio-vsock"},
                                              {"timers", "timers"},
                                              {"irqfd", "irqfd"},
                                              {"rtc", "rtc"},
                                              {"watchdog", "watchdog"},
                                              {"gdb", "gdb"},
                                              {"dump", "dump"},
                                              {"serial", "serial"}};

struct HijackedEnd {
  int exit_code = -1;
  std::string last_message;  // over the control socket
  std::string errors;        // its standard error
};

// Starts a VM, waits until a thread of that kind runs under its policy, and has it call a function of the C library (hijack.h),
// which has to end the VM.
Result<HijackedEnd> hijack_thread(const ThreadKind& kind, const char* function, uint64_t argument);

}  // namespace adyton::e2e
