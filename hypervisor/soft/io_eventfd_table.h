// The doorbells of a VM: guest writes that signal an eventfd.
//
// Threading: any thread. A vCPU looks up in its own reference to the current table, so a lookup takes no lock while nothing
// changes.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/unique_fd.h"
#include "hypervisor/hypervisor.h"

namespace adyton::hypervisor::soft {

class IoEventFdTable {
 public:
  struct Entry {
    GuestPhysAddr address = 0;
    uint32_t length = 0;
    bool match_data = false;
    uint64_t data = 0;
    std::shared_ptr<UniqueFd> eventfd;
  };
  using Entries = std::vector<Entry>;  // sorted by address

  // One per vCPU, used on its thread.
  class Reader {
   public:
    explicit Reader(IoEventFdTable& table) : table_(table) {}
    // Signals the doorbell that the write rings; false when there is none.
    bool ring(GuestPhysAddr address, uint32_t length, uint64_t data);

   private:
    IoEventFdTable& table_;
    uint64_t generation_ = 0;
    std::shared_ptr<const Entries> entries_;
  };

  Result<void> add(const IoEventFd& doorbell);
  Result<void> remove(const IoEventFd& doorbell);

 private:
  std::mutex mutex_;
  std::atomic<uint64_t> generation_ = 0;
  std::shared_ptr<const Entries> entries_;
};

}  // namespace adyton::hypervisor::soft
