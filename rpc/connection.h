// One connection of a session: what its transport delivers, cut into commands, and what is sent on it.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rpc/transport.h"
#include "rpc/wire.h"

namespace adyton::rpc {

// Threading: one owner at a time reads and writes; shutdown() and fd() are for any thread.
class Connection final : private Transport::Drain {
 public:
  // Takes references back while a send waits for room (AOSP: RpcState::drainCommands), with the send not yet done: must not send.
  class DecStrongSink {
   public:
    virtual void on_dec_strong(const wire::DecStrong& command) = 0;

   protected:
    ~DecStrongSink() = default;
  };

  Connection(std::unique_ptr<Transport> transport, bool with_fds) : transport_(std::move(transport)), with_fds_(with_fds) {}

  Result<> send(std::span<iovec> parts, std::span<const UniqueFd> fds, DecStrongSink* sink, std::chrono::milliseconds patience);
  // All or nothing: see Transport::try_send().
  Result<bool> try_send(std::span<const uint8_t> bytes, DecStrongSink* sink, std::chrono::milliseconds patience);

  // How long each read below waits for all that it wants: kUnavailable then.
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  // Fills all of `into`.
  Result<> read(std::span<uint8_t> into);
  // The same into a new vector, which grows no faster than data comes.
  Result<std::vector<uint8_t>> read_bytes(size_t count);
  Result<wire::Header> read_header();
  // The descriptors that came with the command that was just read to its end.
  Result<std::vector<UniqueFd>> take_fds();

  // Reads, without waiting, and takes references back as far as nothing else comes first.
  Result<> drain(DecStrongSink& sink);

  // Counts a oneway call; true when it is time to drain().
  bool note_oneway() { return ++oneways_ % kOnewaysPerDrain == 0; }

  // Whether a read would be answered without asking the transport.
  [[nodiscard]] bool has_input() const { return begin_ != end_; }
  void shutdown() { transport_->shutdown(); }
  [[nodiscard]] int fd() const { return transport_->fd(); }

 private:
  static constexpr size_t kBufferSize = 16 * 1024;
  static constexpr unsigned kOnewaysPerDrain = 8;

  // Descriptors and where in the stream the bytes end that they came with. A message with descriptors is not merged with what
  // follows (unix(7), SCM_RIGHTS), so they belong to the last command that begins before that place.
  struct Arrival {
    uint64_t end;
    std::vector<UniqueFd> fds;
  };

  bool wants_input() override;
  Result<> on_input() override;
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const;
  [[nodiscard]] std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point deadline) const;
  Result<size_t> receive(std::span<uint8_t> into, std::chrono::milliseconds timeout);
  Result<size_t> fill(std::chrono::milliseconds timeout);
  void take_dec_strongs();

  const std::unique_ptr<Transport> transport_;
  const bool with_fds_;
  DecStrongSink* sink_ = nullptr;  // while send() runs
  std::array<uint8_t, kBufferSize> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t received_ = 0;
  std::chrono::milliseconds timeout_ = kForever;
  unsigned oneways_ = 0;
  std::vector<Arrival> arrivals_;
};

}  // namespace adyton::rpc
