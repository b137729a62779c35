// Finds RpcBinder's commands in the bytes that one side of a connection sends (rpc/wire.h), packet by packet, as a bystander.
//
// Where a connection was opened before we listened, and after a packet that is missing, it looks for a command at the beginning
// of each packet: one is told by its shape, which other bytes hardly have (half of a header is zeroes, and sizes have to fit each
// other). What is not RpcBinder is so passed by.
//
// The bytes are whatever the guest likes. Memory: kKept bytes, whatever sizes are claimed. Never fails.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace adyton::trace {

class RpcStream {
 public:
  struct Command {
    enum class Kind : uint8_t { kCall, kReply } kind = Kind::kCall;
    // Of a call.
    uint64_t address = 0;   // of the object; 0: the session itself
    uint32_t code = 0;      // which method
    bool oneway = false;    // there is no reply
    std::string interface;  // as the call names it; printable; "" if it names none
    // Of a reply: 0, or why there is none; and the exception that the method has ended with, or 0.
    int32_t status = 0;
    int32_t exception = 0;
  };
  using Sink = std::function<void(const Command&)>;

  // The bytes of one packet. `sink` hears of the commands that are whole with it; others (references given back) are passed over.
  void feed(std::span<const uint8_t> packet, const Sink& sink);
  // Something is missing.
  void lose() { synced_ = false; }
  // Whether a command was found since what was lost.
  [[nodiscard]] bool synced() const { return synced_; }

 private:
  static constexpr size_t kMaxInterface = 128;                      // characters
  static constexpr size_t kKept = 16 + 40 + 4 + 2 * kMaxInterface;  // bytes of each command that are looked at

  [[nodiscard]] bool begins_command(std::span<const uint8_t> bytes) const;
  void finish(const Sink& sink);

  bool synced_ = false;
  std::array<uint8_t, kKept> kept_{};
  size_t have_ = 0;    // bytes of the command that has begun
  uint64_t size_ = 0;  // of it; 0: not known yet
  uint64_t seen_ = 0;
};

}  // namespace adyton::trace
