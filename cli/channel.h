// One direction of a byte stream between the user's descriptors and the guest: bytes in order, none added, none lost, none held
// back longer than needed, and no more than one buffer of them in flight.
//
// A channel never blocks its caller, except on a descriptor that can only block (a terminal or pipe that could not be opened
// again); there it moves no more than poll() promised. Threading: one thread.
#pragma once
#include <poll.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::cli {

// A descriptor of our own for one of the user's (0, 1, 2): non-blocking where that does not change it for other processes that
// share it (O_NONBLOCK belongs to the open file description).
Result<UniqueFd> open_endpoint(int fd, bool for_reading);

class Channel {
 public:
  // `name` is for messages: "standard output". A sink that is a socket is half-closed (SHUT_WR) at the end of the stream; a
  // source that is a socket is half-closed (SHUT_RD) when the sink does not take any more.
  Channel(std::string name, UniqueFd source, UniqueFd sink);
  Channel(Channel&&) = default;
  Channel& operator=(Channel&&) = default;

  // Sees every byte when it has been read, may change or drop some, and returns how many remain (at the front).
  using Filter = std::function<size_t(std::span<uint8_t>)>;
  void set_filter(Filter filter) { filter_ = std::move(filter); }

  // Adds what must happen for the channel to go on, if anything.
  void watch(std::vector<pollfd>& polls) const;
  // Moves what can be moved. `polls` is what watch() added to, after poll().
  void step(std::span<const pollfd> polls);

  // Everything has arrived, or the sink takes no more, or there was an error: both descriptors are closed.
  [[nodiscard]] bool finished() const { return finished_; }
  // Why it finished, when it was neither the end of the source nor a reader that went away (EPIPE).
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  // Gives up.
  void close();

 private:
  struct End {
    UniqueFd fd;
    bool socket = false;
    bool blocking = false;  // an operation may block when poll() has not just said otherwise
  };
  static End inspect(UniqueFd fd);

  void fill();
  void drain(bool promised);
  void finish();

  std::string name_;
  End source_;
  End sink_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool source_ended_ = false;
  bool finished_ = false;
  std::optional<Error> error_;
  Filter filter_;
};

}  // namespace adyton::cli
