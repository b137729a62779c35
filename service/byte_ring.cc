#include "service/byte_ring.h"

#include <algorithm>
#include <cstring>

namespace adyton::service {

void ByteRing::append(std::span<const uint8_t> bytes) {
  if (bytes.size() > capacity_) {
    end_ += bytes.size() - capacity_;
    bytes = bytes.last(capacity_);
  }
  while (!bytes.empty()) {
    const auto at = static_cast<size_t>(end_ % capacity_);
    const size_t count = std::min(bytes.size(), capacity_ - at);
    if (bytes_.size() < at + count) bytes_.resize(at + count);
    std::memcpy(bytes_.data() + at, bytes.data(), count);
    end_ += count;
    bytes = bytes.subspan(count);
  }
}

std::span<const uint8_t> ByteRing::piece_at(uint64_t position) const {
  if (position < begin() || position >= end_) return {};
  const auto at = static_cast<size_t>(position % capacity_);
  const auto count = static_cast<size_t>(std::min<uint64_t>(end_ - position, capacity_ - at));
  return std::span(bytes_).subspan(at, count);
}

std::string ByteRing::tail(size_t size) const {
  std::string text;
  uint64_t position = std::max(begin(), end_ > size ? end_ - size : 0);
  while (position < end_) {
    const auto piece = piece_at(position);
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    position += piece.size();
  }
  return text;
}

}  // namespace adyton::service
