// Serves metrics over HTTP (RFC 9112, as far as a reader of one document needs it): GET /metrics, as Prometheus scrapes it.
//
// It lives on the service's event loop and has no thread. Why not a library: libmicrohttpd brings GnuTLS, which doubles what an
// idle service has resident; libevent's server does not bound its connections.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/event_loop.h"

namespace adyton::service {

enum class MetricsRequest : uint8_t { kGet, kHead, kNotFound, kNotAllowed, kMalformed };

// What a request's head asks for; only its first line counts.
MetricsRequest parse_request_head(std::string_view head);

// Threading: the event loop's, all of it.
class MetricsServer {
 public:
  using Deliver = std::function<void(std::string)>;
  // Calls what it is given once, now or later, on the loop.
  using Producer = std::function<void(Deliver)>;

  static constexpr size_t kMaxConnections = 16;  // more wait to be accepted
  static constexpr size_t kMaxHead = 8 * 1024;   // bytes of a request

  // `listening` listens already and is non-blocking. A connection that is not through within `patience` is closed.
  static Result<std::unique_ptr<MetricsServer>> start(EventLoop& loop, UniqueFd listening, Producer producer,
                                                      std::chrono::milliseconds patience = std::chrono::seconds(10));
  ~MetricsServer();  // ends its connections
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

 private:
  struct Connection;
  MetricsServer(EventLoop& loop, UniqueFd listening, Producer producer, std::chrono::milliseconds patience);
  void accept();
  Result<void> take(UniqueFd stream);
  void on_event(uint64_t id);
  void receive(uint64_t id, Connection& connection);
  void answer(uint64_t id, Connection& connection, MetricsRequest request);
  void respond(uint64_t id, std::string_view status, std::string_view type, const std::string& body, bool with_body);
  void send(uint64_t id, Connection& connection);
  void close(uint64_t id);

  EventLoop& loop_;
  const UniqueFd listening_;
  const Producer producer_;
  const std::chrono::milliseconds patience_;
  Watch accept_watch_;
  Timer accept_again_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_ = 1;
  // Known to documents that are still being made.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A Unix socket at `path`, open to its owner alone, in the place of what may be left there. Whoever calls it holds the folder's
// lock.
Result<UniqueFd> listen_on_path(const std::string& path);

// TCP on 127.0.0.1; port 0: any. Every user of this machine can connect.
Result<UniqueFd> listen_on_loopback(uint16_t port);

}  // namespace adyton::service
