// Waiting for a socket, for the transports.
#pragma once
#include <chrono>

#include "base/result.h"
#include "rpc/transport.h"

namespace adyton::rpc {

// poll() for one socket: the events, 0 when the time is over (negative: never).
Result<short> wait_for(int fd, short events, std::chrono::milliseconds timeout);

// Until there may be room to send; see Transport::send() for `drain` and `patience`.
Result<> wait_for_room(int fd, Transport::Drain* drain, std::chrono::milliseconds patience);

}  // namespace adyton::rpc
