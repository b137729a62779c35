#include "rpc/resolve.h"

#include <netdb.h>

#include <string>

namespace adyton::rpc {

Result<std::vector<SocketAddress>> resolve_tcp(const TcpAddress& address, bool listening) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (listening ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return fail(ErrorCode::kNotFound, "cannot find '" + address.host + "': " + ::gai_strerror(error));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = found; at; at = at->ai_next) {
    SocketAddress one;
    std::memcpy(&one.storage, at->ai_addr, at->ai_addrlen);
    one.size = at->ai_addrlen;
    addresses.push_back(one);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return fail(ErrorCode::kNotFound, "'" + address.host + "' has no address");
  return addresses;
}

}  // namespace adyton::rpc
