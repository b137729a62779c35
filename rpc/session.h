// The client's side of RpcBinder: opens a session with a server and reaches its root object.
//
//   auto session = TRY(Session::connect(UnixAddress{"/run/adyton/adytond.sock"}, {.fd_passing = FdPassing::kUnix}));
//   auto root = session->root();                       // Reply<std::shared_ptr<Binder>>
//   auto service = IFoo::from_binder(*root);
//
// Compatible on the wire with AOSP's RpcSession and RpcServer, protocol versions 0 to 2 (libs/binder/RpcState.cpp).
#pragma once
#include <chrono>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "rpc/endpoint.h"
#include "rpc/session_options.h"
#include "rpc/status.h"

namespace adyton::rpc {

class SessionCore;
class TlsContext;

struct SessionOptions {
  // Calls that can be under way at once from here: as many connections are opened, but not more than the server has threads.
  uint32_t outgoing_connections = 10;
  // Threads here that serve calls which the server makes of its own accord, one connection each. With none the server can call us
  // only while it serves a call of ours.
  uint32_t incoming_connections = 0;
  FdPassing fd_passing = FdPassing::kNone;
  uint32_t max_protocol_version = kProtocolVersion;
  // Both what is sent and what is taken; more than the default only if the server was told the same.
  size_t max_body_size = kDefaultMaxBodySize;
  ObjectLimits limits;
  // For each step of setting up: a server that accepts and says nothing.
  std::chrono::milliseconds handshake_timeout{10'000};
  // A server that takes nothing of a message for so long is given up, with the session; zero: never. Replies are waited for
  // without limit.
  std::chrono::milliseconds send_timeout{0};
  // TLS on every connection, if given; no descriptors then.
  std::shared_ptr<const TlsContext> tls;
};

// A session lives as long as this or any proxy from it does (or any object of ours that the server holds, if there are incoming
// connections), or until a connection fails: then all of it ends, calls that are under way return kDeadObject, and death
// recipients run. There is no reconnection. Threading: any thread.
class Session {
 public:
  // Returns when all connections are set up. kUnavailable: nobody there, or it closes or says nothing; kUnsupported: it answers
  // with a version that we did not offer; kInvalidArgument: options that exclude each other.
  static Result<std::shared_ptr<Session>> connect(const Connector& connector, const SessionOptions& options = {});
  static Result<std::shared_ptr<Session>> connect(const Endpoint& endpoint, const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The server's root object, which is asked for once and then kept; null if it has none.
  Reply<std::shared_ptr<Binder>> root();

  // Ends the session and waits for its threads (for the others, if the calling thread is one).
  void shutdown_and_wait();

  [[nodiscard]] bool is_alive() const;
  [[nodiscard]] uint32_t protocol_version() const;
  // What the server serves at once, from its answer.
  [[nodiscard]] uint32_t server_threads() const { return server_threads_; }
  // For tests and diagnosis.
  [[nodiscard]] SessionCore& core() const { return *core_; }

 private:
  explicit Session(std::shared_ptr<SessionCore> core) : core_(std::move(core)) {}

  const std::shared_ptr<SessionCore> core_;
  uint32_t server_threads_ = 0;
  std::mutex root_mutex_;
  std::shared_ptr<Binder> root_;
};

}  // namespace adyton::rpc
