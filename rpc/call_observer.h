// Hears of every call that a session serves: for metrics and traces.
#pragma once
#include <chrono>
#include <cstdint>

namespace adyton::rpc {

class LocalBinder;

struct ServedCall {
  using Clock = std::chrono::steady_clock;
  LocalBinder& target;
  uint32_t code = 0;
  bool oneway = false;
  // Answered without transport error and exception; a oneway call always is.
  bool succeeded = false;
  Clock::time_point begin, end;  // of the method itself, without what the wire takes
};

// Threading: called on the thread that served the call, several at a time, after the method and before its reply is sent. Must
// not block or call.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void served(const ServedCall& call) = 0;
};

}  // namespace adyton::rpc
