// How long a thread that has nothing to do looks for its next event before it sleeps.
//
// Sleeping and waking costs the host some ten microseconds, which is most of the time of an interrupt between two vCPUs, or of a
// message from a program through a device to the guest. The window follows what happened: it opens while waits turn out short
// and closes at the first long one, so that who is idle does not poll at all. Times are in nanoseconds. Threading: one thread.
#pragma once
#include <algorithm>
#include <cstdint>

namespace adyton {

class AdaptivePoll {
 public:
  static constexpr uint64_t kFirstWindow = 10'000, kMaxWindow = 80'000;

  [[nodiscard]] uint64_t window() const { return window_; }

  // A wait, polling and sleeping together, took this long.
  void waited(uint64_t duration) {
    if (duration <= window_) return;
    if (duration > kMaxWindow)
      window_ = 0;
    else
      window_ = std::clamp(2 * window_, kFirstWindow, kMaxWindow);
  }

 private:
  uint64_t window_ = 0;
};

}  // namespace adyton
