// The interrupt wires of a VM: a thread that turns signals of eventfds into interrupts.
//
// Threading: any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::hypervisor::soft {

class IrqfdPoller {
 public:
  // `pulse(intid)` runs on the poller's thread.
  static Result<std::unique_ptr<IrqfdPoller>> create(std::function<void(uint32_t)> pulse);
  ~IrqfdPoller();

  Result<void> add(int eventfd, uint32_t intid);
  // Afterwards `pulse` is not called for it any more.
  Result<void> remove(int eventfd, uint32_t intid);

 private:
  struct Wire {
    int number;        // the caller's descriptor, by which it is removed
    UniqueFd eventfd;  // our duplicate
    uint32_t intid;
  };
  IrqfdPoller(std::function<void(uint32_t)> pulse, UniqueFd epoll, UniqueFd stop);
  void run();

  const std::function<void(uint32_t)> pulse_;
  UniqueFd epoll_, stop_;
  std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Wire> wires_;
  std::jthread thread_;
};

}  // namespace adyton::hypervisor::soft
