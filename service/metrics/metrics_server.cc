#include "service/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace adyton::service {
namespace {

constexpr int kBacklog = 16;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::string_view kPlain = "text/plain; charset=utf-8";
constexpr std::string_view kMetrics = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

struct MetricsServer::Connection {
  UniqueFd stream;
  Watch watch;
  Timer timer;
  std::string in;
  std::string out;
  size_t sent = 0;
  bool answered = false;
};

MetricsRequest parse_request_head(std::string_view head) {
  // method SP request-target SP HTTP-version (RFC 9112, section 3)
  const std::string_view line = head.substr(0, head.find('\n'));
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || !line.substr(second + 1).starts_with("HTTP/1.")) return MetricsRequest::kMalformed;
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, second - first - 1);
  target = target.substr(0, target.find('?'));
  if (method != "GET" && method != "HEAD") return MetricsRequest::kNotAllowed;
  if (target != "/metrics") return MetricsRequest::kNotFound;
  return method == "GET" ? MetricsRequest::kGet : MetricsRequest::kHead;
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(EventLoop& loop, UniqueFd listening, Producer producer,
                                                            std::chrono::milliseconds patience) {
  std::unique_ptr<MetricsServer> server(new MetricsServer(loop, std::move(listening), std::move(producer), patience));
  MetricsServer* const self = server.get();
  server->accept_watch_ = Watch(loop, TRY(loop.watch(server->listening_.get(), EPOLLIN, [self](uint32_t) { self->accept(); })));
  return server;
}

MetricsServer::MetricsServer(EventLoop& loop, UniqueFd listening, Producer producer, std::chrono::milliseconds patience)
    : loop_(loop), listening_(std::move(listening)), producer_(std::move(producer)), patience_(patience) {}

MetricsServer::~MetricsServer() { *alive_ = false; }

void MetricsServer::accept() {
  while (connections_.size() < kMaxConnections) {
    UniqueFd stream(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const int error = errno;
    if (!stream.valid() && (error == EAGAIN || error == EINTR || error == ECONNABORTED)) return;
    if (!stream.valid() || !take(std::move(stream))) {
      // Out of descriptors, and the listener stays ready: it is left alone for a moment.
      accept_watch_.change(0);
      accept_again_ = Timer(loop_, kAcceptPause, [this] { accept_watch_.change(EPOLLIN); });
      return;
    }
  }
  accept_watch_.change(0);  // until one has gone
}

Result<void> MetricsServer::take(UniqueFd stream) {
  const uint64_t id = next_++;
  auto connection = std::make_unique<Connection>();
  connection->watch = Watch(loop_, TRY(loop_.watch(stream.get(), EPOLLIN, [this, id](uint32_t) { on_event(id); })));
  connection->stream = std::move(stream);
  connection->timer = Timer(loop_, patience_, [this, id] { close(id); });
  connections_.emplace(id, std::move(connection));
  return {};
}

void MetricsServer::on_event(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  connection.out.empty() ? receive(id, connection) : send(id, connection);
}

void MetricsServer::receive(uint64_t id, Connection& connection) {
  char buffer[4096];
  const ssize_t got = ::read(connection.stream.get(), buffer, sizeof(buffer));
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close(id);
  if (connection.answered) return;  // what comes behind the head does not matter
  connection.in.append(buffer, static_cast<size_t>(got));
  const size_t end = std::min(connection.in.find("\r\n\r\n"), connection.in.find("\n\n"));
  if (end == std::string::npos && connection.in.size() < kMaxHead) return;
  connection.answered = true;
  answer(id, connection, end == std::string::npos ? MetricsRequest::kMalformed : parse_request_head(connection.in));
}

void MetricsServer::answer(uint64_t id, Connection& connection, MetricsRequest request) {
  connection.in.clear();
  switch (request) {
    case MetricsRequest::kMalformed: return respond(id, "400 Bad Request", kPlain, "that is no request\n", true);
    case MetricsRequest::kNotFound: return respond(id, "404 Not Found", kPlain, "the metrics are at /metrics\n", true);
    case MetricsRequest::kNotAllowed:
      return respond(id, "405 Method Not Allowed\r\nAllow: GET, HEAD", kPlain, "only GET\n", true);
    case MetricsRequest::kGet:
    case MetricsRequest::kHead: break;
  }
  producer_([this, alive = alive_, id, with_body = request == MetricsRequest::kGet](const std::string& text) {
    if (*alive) respond(id, "200 OK", kMetrics, text, with_body);
  });
}

void MetricsServer::respond(uint64_t id, std::string_view status, std::string_view type, const std::string& body,
                            bool with_body) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  connection.out = fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status,
                               type, body.size(), with_body ? std::string_view(body) : std::string_view());
  connection.watch.change(EPOLLOUT);
  send(id, connection);
}

void MetricsServer::send(uint64_t id, Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t put = ::send(connection.stream.get(), connection.out.data() + connection.sent,
                               connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (put < 0) break;
    connection.sent += static_cast<size_t>(put);
  }
  close(id);
}

void MetricsServer::close(uint64_t id) {
  connections_.erase(id);
  accept_watch_.change(EPOLLIN);
}

Result<UniqueFd> listen_on_path(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path))
    return fail(ErrorCode::kInvalidArgument, fmt::format("the path of the metrics socket is too long: {}", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno("cannot make the metrics socket");
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return fail_errno(fmt::format("cannot listen for readers of metrics on {}", path));
  }
  return fd;
}

Result<UniqueFd> listen_on_loopback(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno("cannot make a socket for metrics");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(fmt::format("cannot serve metrics on port {} of 127.0.0.1", port));
  return fd;
}

}  // namespace adyton::service
