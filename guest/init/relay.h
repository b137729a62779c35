// Moves one byte stream from a descriptor to another, with half-close and back-pressure carried over.
//
// Both descriptors are non-blocking. The owner polls what add_poll_entries() asks for and then calls pump(). Reads happen only
// when everything read before has been written: what the reader does not take waits in the writer's pipe or in vsock's credit.
#pragma once
#include <poll.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/unique_fd.h"

namespace adyton::guest {

enum class StreamKind {
  kPipe,      // closed to end it
  kSocket,    // half-closed to end it
  kTerminal,  // a pty's master side: its end of file is a character, and a read error means that nobody has the terminal open
};

struct Stream {
  std::shared_ptr<UniqueFd> fd;  // shared where both directions have a relay
  StreamKind kind = StreamKind::kPipe;
};

class Relay {
 public:
  Relay(Stream from, Stream to);

  // Appends at most two entries.
  void add_poll_entries(std::vector<pollfd>& entries) const;

  // Moves what can be moved without waiting (a bounded amount, so that other streams have their turn).
  void pump();

  // No more bytes will move: the end of the source has been passed on, or the destination has gone.
  [[nodiscard]] bool done() const { return done_; }

  // Gives up: the source is closed (its writer sees EPIPE), and nothing is delivered any more.
  void abandon();

 private:
  [[nodiscard]] bool fill();
  [[nodiscard]] bool drain();
  [[nodiscard]] bool destination_gone();
  void finish();

  Stream from_;
  Stream to_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool source_ended_ = false;
  bool peer_half_closed_ = false;
  bool done_ = false;
};

}  // namespace adyton::guest
