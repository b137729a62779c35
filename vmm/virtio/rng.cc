#include "vmm/virtio/rng.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace adyton::vmm::virtio {
namespace {

// A request that finds fewer tokens waits, rather than be answered byte by byte.
constexpr uint64_t kLeastGrant = 256;
// Requests before the loop's other work.
constexpr int kTurn = 256;

// Returns how many bytes were filled.
size_t fill_random(std::span<const iovec> segments, size_t limit) {
  size_t done = 0;
  for (const iovec& segment : segments) {
    const size_t end = std::min(segment.iov_len, limit - done);
    for (size_t at = 0; at < end;) {
      const ssize_t count = ::getrandom(static_cast<uint8_t*>(segment.iov_base) + at, end - at, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return done;
      at += static_cast<size_t>(count);
      done += static_cast<size_t>(count);
    }
  }
  return done;
}

}  // namespace

// The bucket fills while the device is idle too, and a reset does not fill it.
void RngDevice::activate(uint64_t, std::span<Virtqueue> queues) { queue_ = &queues[0]; }

void RngDevice::reset() {
  queue_ = nullptr;
  if (timer_) host().loop().cancel(*timer_);
  timer_.reset();
}

void RngDevice::queue_notified(uint16_t) {
  if (queue_ && !timer_) serve();
}

void RngDevice::refill() {
  const auto now = host().loop().now();
  // In whole milliseconds, the rest counts next time; more than a minute fills any bucket of sense.
  const auto elapsed = std::chrono::floor<std::chrono::milliseconds>(
      std::min<EventLoop::Clock::duration>(now - refilled_, std::chrono::minutes(1)));
  if (elapsed.count() <= 0) return;
  refilled_ = now - refilled_ > std::chrono::minutes(1) ? now : refilled_ + elapsed;
  tokens_ = std::min<uint64_t>(options_.burst_bytes,
                               tokens_ + static_cast<uint64_t>(elapsed.count()) * options_.bytes_per_second / 1000);
}

void RngDevice::wait_for(uint64_t bytes) {
  const uint64_t milliseconds = (bytes - tokens_) * 1000 / std::max<uint64_t>(1, options_.bytes_per_second) + 1;
  timer_ = host().loop().schedule(std::chrono::milliseconds(milliseconds), [this] {
    timer_.reset();
    serve();
  });
}

void RngDevice::serve() {
  refill();
  int turn = 0;
  do {
    queue_->disable_doorbells();
    while (queue_->pop(chain_)) {
      if (++turn > kTurn) {
        queue_->rewind(1);
        host().signal(*queue_);
        host().loop().post([this] {
          if (queue_ && !timer_) serve();
        });
        return;
      }
      const uint64_t wanted = std::min<uint64_t>({chain_.writable_bytes(), kLeastGrant, options_.burst_bytes});
      if (tokens_ < wanted) {
        queue_->rewind(1);
        wait_for(wanted);
        host().signal(*queue_);
        return;
      }
      const size_t filled = fill_random(chain_.writable(), std::min<uint64_t>(chain_.writable_bytes(), tokens_));
      tokens_ -= filled;
      queue_->push(chain_, static_cast<uint32_t>(filled));
    }
    host().signal(*queue_);
  } while (queue_->enable_doorbells());
}

}  // namespace adyton::vmm::virtio
