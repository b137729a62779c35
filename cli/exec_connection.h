// The CLI's end of the control connection to the guest's init: guest::Message in, guest::Message out, never blocking.
#pragma once
#include <poll.h>

#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {

class ExecConnection {
 public:
  explicit ExecConnection(UniqueFd stream) : stream_(std::move(stream)) {}

  // Queues a message. Fails when it exceeds the protocol's bounds.
  Result<void> send(const guest::Message& message);

  void watch(std::vector<pollfd>& polls) const;
  // Moves bytes; returns the messages that became complete. kCorrupt: the guest does not follow the protocol.
  Result<std::vector<guest::Message>> step(std::span<const pollfd> polls);

  // The guest closed its end.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  void receive();
  void flush();

  UniqueFd stream_;
  guest::MessageReader reader_;
  std::vector<uint8_t> outgoing_;
  size_t sent_ = 0;
  bool ended_ = false;
};

}  // namespace adyton::cli
