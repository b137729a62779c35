// The server's side of RpcBinder: takes connections, makes sessions of them, and serves the objects that clients reach from its
// root.
//
//   Server server({.max_threads = 4, .allow_fds = true});
//   server.set_root(std::make_shared<MyService>());
//   TRY(server.serve(TRY(listen_on(UnixAddress{path}))));
//
// Compatible on the wire with AOSP's clients, protocol versions 0 to 2 (libs/binder/RpcServer.cpp).
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "rpc/binder.h"
#include "rpc/call_observer.h"
#include "rpc/endpoint.h"
#include "rpc/session_options.h"

namespace adyton::rpc {

class TlsContext;

struct ServerOptions {
  // Calls of one session that are served at once: the client is told, and opens as many connections.
  uint32_t max_threads = 1;
  // Whether a client may choose FdPassing::kUnix. Without it such a client is turned away.
  bool allow_fds = false;
  uint32_t max_protocol_version = kProtocolVersion;
  size_t max_body_size = kDefaultMaxBodySize;  // see SessionOptions
  ObjectLimits limits;                         // of each session
  uint32_t max_sessions = 256;
  uint32_t max_connections = 1024;   // those that are being set up included; a thread each
  uint32_t max_client_threads = 32;  // connections that one session may open for calls to the client
  // A peer that has connected and not said what it wants is turned away.
  std::chrono::milliseconds handshake_timeout{10'000};
  // A client that takes nothing of a message for so long loses its session; zero: never.
  std::chrono::milliseconds send_timeout{0};
  // TLS on every connection, if given; no descriptors then, whatever allow_fds says.
  std::shared_ptr<const TlsContext> tls;
  // Hears of the calls that are served; may be null.
  std::shared_ptr<CallObserver> observer;
  // Hears of peers who were turned away (kPermission, kExhausted) or have lost their session as they broke the protocol
  // (kCorrupt and others), but not of those who just went; may be null. Called on threads of the server; must not block or call.
  std::function<void(const Caller&, const Error&)> on_bad_peer;
};

// Each connection has a thread here; one session's peer cannot delay another's. A session ends with its first connection that
// fails. Threading: any thread. The set_ functions and start with the next session.
class Server {
 public:
  explicit Server(ServerOptions options = {});
  ~Server();  // shutdown()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void set_root(std::shared_ptr<Binder> root);
  // A root for each session; null is allowed. Called on a thread of the server, before the client can call anything.
  using RootFactory = std::function<std::shared_ptr<Binder>(const Caller&)>;
  void set_root_factory(RootFactory factory);
  // Connections that it does not accept are closed. For a VM's service: by Caller::vsock_cid; for a user's: by uid.
  using PeerFilter = std::function<bool(const Caller&)>;
  void set_peer_filter(PeerFilter filter);

  // Accepts on a listening socket, on a thread of its own, until shutdown(). kUnavailable after shutdown().
  Result<> serve(UniqueFd listening);
  // Takes connections that come over one end of a Unix socket pair (connector_over()), until the other end is closed or
  // shutdown().
  Result<> add_bootstrap(UniqueFd socket);
  // Takes one connection.
  Result<> add_connection(UniqueFd socket);

  // Ends all sessions, takes no more connections, and waits for all threads: a call that is being served is waited for. From a
  // thread of the server it waits for the others only.
  void shutdown();

  [[nodiscard]] size_t session_count() const;
  [[nodiscard]] size_t connection_count() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace adyton::rpc
