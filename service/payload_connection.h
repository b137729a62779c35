// The service's end of the control connection to the guest's init (guest/exec_protocol.h), on the event loop. The guest is
// hostile: what it sends is bounded by the protocol, and what it does not take by kMaxOutgoing.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/exec_protocol.h"
#include "service/event_loop.h"

namespace adyton::service {

// Threading: the event loop's. Handlers may destroy the connection.
class PayloadConnection {
 public:
  struct Handlers {
    std::function<void(guest::Message)> message;
    // The last call: the guest closed the connection, or broke the protocol.
    std::function<void(Result<void>)> ended;
  };
  static constexpr size_t kMaxOutgoing = guest::kMaxBodySize + 65536;

  static Result<std::unique_ptr<PayloadConnection>> make(EventLoop& loop, UniqueFd stream, Handlers handlers);

  // kInvalidArgument when it exceeds the protocol's bounds, kExhausted when the guest takes nothing.
  Result<void> send(const guest::Message& message);

 private:
  PayloadConnection(UniqueFd stream, Handlers handlers) : stream_(std::move(stream)), handlers_(std::move(handlers)) {}
  void on_ready(uint32_t events);
  void flush();

  UniqueFd stream_;
  Handlers handlers_;
  guest::MessageReader reader_;
  std::vector<uint8_t> outgoing_;
  size_t sent_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Watch watch_;

 public:
  ~PayloadConnection() { *alive_ = false; }
};

}  // namespace adyton::service
