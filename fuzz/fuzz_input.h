// Reads decisions from the bytes of a fuzzer's input; zeroes when they are used up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>

namespace adyton::fuzz {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : left_(data, size) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  template <typename T = uint8_t>
    requires std::is_integral_v<T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  // 0 to limit - 1.
  size_t below(size_t limit) { return limit <= 256 ? take<uint8_t>() % limit : take<uint32_t>() % limit; }
  // Fewer when there are not that many left.
  std::span<const uint8_t> take_bytes(size_t count) {
    const auto bytes = left_.first(count < left_.size() ? count : left_.size());
    left_ = left_.subspan(bytes.size());
    return bytes;
  }

 private:
  std::span<const uint8_t> left_;
};

// Ends the run as a finding.
inline void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace adyton::fuzz
