#include <arpa/inet.h>

#include "rpc/resolve.h"

namespace adyton::rpc {

Result<std::vector<SocketAddress>> resolve_tcp(const TcpAddress& address, bool listening) {
  // An IPv6 socket takes IPv4 connections as well (RFC 3493, 3.7).
  const std::string host = !address.host.empty() ? address.host : listening ? "::" : "::1";
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(address.port)};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) return std::vector{SocketAddress::of(v4)};
  sockaddr_in6 v6{.sin6_family = AF_INET6, .sin6_port = htons(address.port)};
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) return std::vector{SocketAddress::of(v6)};
  return fail(ErrorCode::kNotFound, "cannot find '" + host + "': names are not looked up here, give an IPv4 or IPv6 address");
}

}  // namespace adyton::rpc
