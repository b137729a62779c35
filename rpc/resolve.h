// Addresses of sockets, and how a TCP endpoint becomes one. There are two ways, one in each file, of which a program links one:
// resolve.cc also looks names up, resolve_numeric.cc knows numbers only. The latter is for static programs: there the C library's
// look-up wants shared libraries of its own at run time, which is what its linker warning is about.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "base/result.h"
#include "rpc/endpoint.h"

namespace adyton::rpc {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }

  template <typename T>
  static SocketAddress of(const T& address, size_t size = sizeof(T)) {
    static_assert(sizeof(T) <= sizeof(sockaddr_storage));
    SocketAddress result;
    std::memcpy(&result.storage, &address, size);
    result.size = static_cast<socklen_t>(size);
    return result;
  }
  template <typename T>
  [[nodiscard]] T as() const {
    T address{};
    std::memcpy(&address, &storage, std::min<size_t>(sizeof(T), size));
    return address;
  }
};

// One at least; kNotFound if there is none. `listening`: an empty host is all of this machine's addresses.
Result<std::vector<SocketAddress>> resolve_tcp(const TcpAddress& address, bool listening);

}  // namespace adyton::rpc
