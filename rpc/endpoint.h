// Where a session's connections come from: addresses to connect to and to listen on.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rpc/binder.h"
#include "rpc/transport.h"

namespace adyton::rpc {

// Makes one more connected stream socket to the same server, each time it is called; may wait, but not for ever. Called by the
// thread that is in Session::connect(). Kept no longer than that.
using Connector = std::function<Result<UniqueFd>()>;

struct UnixAddress {
  std::string path;  // at most 107 bytes; one that begins with '@' is in the abstract name space
};
struct VsockAddress {
  uint32_t cid = 0;
  uint32_t port = 0;
};
struct TcpAddress {
  std::string host;  // a name or a number, IPv4 or IPv6; in a payload a number only
  uint16_t port = 0;
};
using Endpoint = std::variant<UnixAddress, VsockAddress, TcpAddress>;

[[nodiscard]] std::string to_string(const Endpoint& endpoint);

// Connects once; kUnavailable when nobody listens, or after `timeout`. A connection that is reset while it is being made is tried
// 5 times, 10 ms apart, as AOSP does. TCP sockets do not delay small messages.
Result<UniqueFd> connect_to(const Endpoint& endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(10));
Connector connector_to(Endpoint endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(10));

// Unix bootstrap (RpcSession::setupUnixDomainSocketBootstrapClient): each connection is one end of a new socket pair, of which
// the other end goes over `socket`, beside four zero bytes. For Server::add_bootstrap() at the other end.
Connector connector_over(std::shared_ptr<UniqueFd> socket);

// One socket that is connected already: a session with one connection.
Connector connector_of(UniqueFd socket);

// A listening socket, for Server::serve(). A Unix path that exists is kUnavailable if somebody listens there, else it is replaced
// if it is a socket; `mode` is that of the file (the directory should keep others away too). VsockAddress::cid may be
// VMADDR_CID_ANY, and its port VMADDR_PORT_ANY; TcpAddress::port 0 chooses one.
Result<UniqueFd> listen_on(const Endpoint& endpoint, unsigned mode = 0600);
// What a listening socket has got.
Result<Endpoint> local_endpoint(int socket);

// What the kernel says of the other end: credentials of a Unix socket, the CID of a vsock one.
[[nodiscard]] Caller identify_peer(int socket);

// The server's side of connector_over(). Threading: one thread.
class BootstrapReceiver {
 public:
  explicit BootstrapReceiver(UniqueFd socket);
  [[nodiscard]] int fd() const;  // to wait on for input
  // Does not wait. An invalid descriptor: nothing whole is there yet. kUnavailable: the other end is closed.
  Result<UniqueFd> receive();

 private:
  std::unique_ptr<Transport> transport_;
  size_t received_ = 0;  // bytes of the message that is coming in
  std::vector<UniqueFd> fds_;
};

}  // namespace adyton::rpc
