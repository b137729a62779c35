// The first line of the hybrid vsock protocol that Firecracker, Cloud Hypervisor and OpenVMM share: "CONNECT <port>\n", in which
// the word may be of any case, the port is decimal, and blanks surround both. What comes after the line is the guest's.
//
// Pure, total on any input (fuzzed), bounded by kMaxLine.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace adyton::vmm::hybrid {

class ConnectLine {
 public:
  static constexpr size_t kMaxLine = 32;  // bytes, its newline included; as Firecracker's

  enum class State : uint8_t { kIncomplete, kComplete, kInvalid };

  // Takes bytes up to the end of the line and returns how many those were: the rest does not belong to it.
  size_t take(std::string_view bytes);
  [[nodiscard]] State state() const { return state_; }
  // Of a complete line.
  [[nodiscard]] uint32_t port() const { return port_; }

 private:
  std::string line_;
  State state_ = State::kIncomplete;
  uint32_t port_ = 0;
};

// A line without its newline.
std::optional<uint32_t> parse_connect(std::string_view line);

}  // namespace adyton::vmm::hybrid
