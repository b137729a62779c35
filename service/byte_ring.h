// The last bytes of a stream, addressed by their position in it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace adyton::service {

// Takes memory as it fills, at most `capacity` bytes of it. Threading: one thread at a time.
class ByteRing {
 public:
  explicit ByteRing(size_t capacity) : capacity_(capacity) {}

  // Forgets the oldest bytes when there is no room.
  void append(std::span<const uint8_t> bytes);

  // Positions of the oldest byte that is still there, and of the next one to come.
  [[nodiscard]] uint64_t begin() const { return end_ > capacity_ ? end_ - capacity_ : 0; }
  [[nodiscard]] uint64_t end() const { return end_; }

  // As many bytes from `position` on as lie in one piece; empty at the end. `position` is from begin() to end(). Valid until
  // append().
  [[nodiscard]] std::span<const uint8_t> piece_at(uint64_t position) const;

  // The last `size` bytes, or all there are.
  [[nodiscard]] std::string tail(size_t size) const;

 private:
  size_t capacity_;
  std::vector<uint8_t> bytes_;  // the byte at position p stands at p % capacity_
  uint64_t end_ = 0;
};

}  // namespace adyton::service
