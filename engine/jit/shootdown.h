// Broadcast invalidations: queued to each other vCPU, awaited only by the sender's DSB.
//
// A vCPU outside run() (idle, in the VMM) is not waited for: it drains its queue before it runs guest code again.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace adyton::engine::jit {

struct Invalidation {
  enum class Kind : uint8_t {
    kAll,            // every translation
    kAsid,           // `asid`
    kRange,          // [va, va + size) in any address space
    kWrites,         // every write permission (exclusive monitor armed a page)
  } kind = Kind::kAll;
  uint16_t asid = 0;
  uint64_t va = 0, size = 0;
};

// The receiving end at one vCPU.
class ShootdownInbox {
 public:
  // Any thread. Returns a ticket for `done`.
  uint64_t post(const Invalidation& invalidation) {
    std::lock_guard lock(mutex_);
    queue_.push_back(invalidation);
    return posted_.fetch_add(1, std::memory_order_seq_cst) + 1;
  }
  // The owner's thread: applies everything queued.
  template <typename Apply>
  void drain(Apply apply) {
    if (posted_.load(std::memory_order_acquire) == drained_.load(std::memory_order_relaxed)) return;
    std::lock_guard lock(mutex_);
    for (const Invalidation& invalidation : queue_) apply(invalidation);
    queue_.clear();
    drained_.store(posted_.load(std::memory_order_relaxed), std::memory_order_release);
  }
  // Is everything up to `ticket` applied, or sure to be before the vCPU runs guest code again?
  [[nodiscard]] bool done(uint64_t ticket) const {
    return drained_.load(std::memory_order_acquire) >= ticket || !running_.load(std::memory_order_seq_cst);
  }
  [[nodiscard]] uint64_t posted() const { return posted_.load(std::memory_order_seq_cst); }
  // Owner: set before the last drain on the way in, cleared on the way out.
  void set_running(bool running) { running_.store(running, std::memory_order_seq_cst); }

 private:
  std::mutex mutex_;
  std::vector<Invalidation> queue_;
  std::atomic<uint64_t> posted_{0}, drained_{0};
  std::atomic<bool> running_{false};
};

}  // namespace adyton::engine::jit
