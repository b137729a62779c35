// One request from the driver: the buffers of a descriptor chain, split by direction, as host memory.
//
// The bytes stay the guest's: it may change them at any time, so whatever is decided upon must be copied out first (ChainReader
// does), and only bulk data goes straight between the segments and a file descriptor.
#pragma once
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace adyton::vmm::virtio {

class Chain {
 public:
  // Segments of more than this many descriptors are refused: it is what one preadv takes (IOV_MAX).
  static constexpr size_t kMaxSegments = 1024;

  // Bytes that the driver wrote for the device, and space that the device may write; in chain order. No segment is empty.
  [[nodiscard]] std::span<const iovec> readable() const { return readable_; }
  [[nodiscard]] std::span<const iovec> writable() const { return writable_; }
  [[nodiscard]] uint32_t readable_bytes() const { return readable_bytes_; }
  [[nodiscard]] uint32_t writable_bytes() const { return writable_bytes_; }
  [[nodiscard]] uint16_t head() const { return head_; }

 private:
  friend class Virtqueue;
  void reset(uint16_t head) {
    head_ = head;
    readable_.clear();
    writable_.clear();
    readable_bytes_ = writable_bytes_ = 0;
  }

  uint16_t head_ = 0;
  uint32_t readable_bytes_ = 0;
  uint32_t writable_bytes_ = 0;
  std::vector<iovec> readable_;  // keep their capacity from request to request
  std::vector<iovec> writable_;
};

// Walks a list of segments from the front. Base of the reader and the writer.
class SegmentCursor {
 public:
  explicit SegmentCursor(std::span<const iovec> segments) : segments_(segments) {}

  // Skips up to `bytes`; returns how many there were.
  size_t skip(size_t bytes);
  // Appends to `out` the segments of the next `bytes` bytes (fewer when the list ends) and moves past them; returns how many
  // bytes.
  size_t take(size_t bytes, std::vector<iovec>& out);

 protected:
  // The next contiguous run of at most `bytes` bytes; empty at the end.
  std::span<uint8_t> next_run(size_t bytes);

 private:
  std::span<const iovec> segments_;
  size_t offset_ = 0;  // into segments_.front()
};

class ChainReader : public SegmentCursor {
 public:
  explicit ChainReader(const Chain& chain) : SegmentCursor(chain.readable()) {}
  explicit ChainReader(std::span<const iovec> segments) : SegmentCursor(segments) {}

  // Copies out.size() bytes; returns how many there were.
  size_t read(std::span<uint8_t> out);
  // False when fewer bytes are left than T has.
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  bool read_object(T& out) {
    return read(std::span(reinterpret_cast<uint8_t*>(&out), sizeof(T))) == sizeof(T);
  }
};

class ChainWriter : public SegmentCursor {
 public:
  explicit ChainWriter(const Chain& chain) : SegmentCursor(chain.writable()) {}
  explicit ChainWriter(std::span<const iovec> segments) : SegmentCursor(segments) {}

  // Copies as many bytes as there is space for; returns how many.
  size_t write(std::span<const uint8_t> data);
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  bool write_object(const T& object) {
    return write(std::span(reinterpret_cast<const uint8_t*>(&object), sizeof(T))) == sizeof(T);
  }
};

}  // namespace adyton::vmm::virtio
