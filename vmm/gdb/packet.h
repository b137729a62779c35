// The GDB remote serial protocol's packets (GDB manual, appendix E.1): $data#checksum, acknowledged by '+' or '-' until both sides agree to do
// without, and the interrupt byte. Pure: bytes in, packets and bytes out, bounded, total on any input (fuzzed).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace adyton::vmm::gdb {

// Bytes of a packet's data, before escapes are taken back: what qSupported's PacketSize says.
inline constexpr size_t kMaxPacket = 16 * 1024;

class PacketReader {
 public:
  enum class Kind : uint8_t {
    kPacket,     // `data`, escapes taken back
    kBroken,     // a packet whose checksum is wrong, or which is too long: to be sent again
    kAck, kNack,
    kInterrupt,  // ^C
  };
  struct Event {
    Kind kind = Kind::kPacket;
    std::string data;
  };

  // What `bytes` complete, in order. Anything between packets that is none of the above is skipped.
  std::vector<Event> feed(std::string_view bytes);

 private:
  enum class State : uint8_t { kBetween, kData, kChecksum1, kChecksum2 } state_ = State::kBetween;
  std::string data_;       // of the packet that is being read, with escapes
  bool too_long_ = false;
  unsigned checksum_ = 0;
};

// The packet that carries `data`, which must hold no '$', '#', '}' or '*' (escape_binary sees to that).
std::string encode_packet(std::string_view data);
// '}' before the byte exclusive-or 0x20, for the bytes above.
std::string escape_binary(std::string_view data);

std::string to_hex(std::span<const uint8_t> bytes);
std::string to_hex(std::string_view text);
// None: an odd length, or not hexadecimal.
std::optional<std::string> from_hex(std::string_view hex);

// Takes the parts of a packet from its front. Each returns none, and takes nothing, when the part is not there.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  [[nodiscard]] std::string_view rest() const { return text_; }
  [[nodiscard]] bool at_end() const { return text_.empty(); }
  bool skip(char c);
  bool skip(std::string_view word);
  // A hexadecimal number of up to 64 bits.
  std::optional<uint64_t> number();
  // Up to `separator`, which is taken too, or to the end.
  std::string_view until(char separator);

 private:
  std::string_view text_;
};

}  // namespace adyton::vmm::gdb
