#include "rpc/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "rpc/connection.h"
#include "rpc/session_core.h"
#include "rpc/thread_set.h"
#include "rpc/tls_context.h"

namespace adyton::rpc {

namespace {

// How long to leave the backlog alone when the process has no descriptor left.
constexpr int kAcceptPauseMs = 100;

// How many sessions that have ended are remembered.
constexpr size_t kMaxEnded = 256;

ServerOptions with_consequences(ServerOptions options) {
  if (options.tls) options.allow_fds = false;
  return options;
}

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  explicit Impl(ServerOptions options)
      : options_(with_consequences(std::move(options))), wakeup_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  Result<> serve(UniqueFd listening);
  Result<> add_bootstrap(UniqueFd socket);
  Result<> add_connection(UniqueFd socket);
  void shutdown();

  mutable std::mutex mutex_;
  std::shared_ptr<Binder> root_;
  RootFactory root_factory_;
  PeerFilter filter_;
  std::map<wire::SessionId, std::shared_ptr<SessionCore>> sessions_;
  uint32_t connections_ = 0;

 private:
  class CountedConnection;

  void accept_loop(int listening);
  void bootstrap_loop(BootstrapReceiver& receiver);
  Result<bool> wait_for(int fd, int timeout_ms = -1);
  Result<> set_up(const Caller& peer, UniqueFd socket);
  void report(const Caller& peer, const Error& error) const;
  Result<> start_session(std::shared_ptr<Connection> connection, const wire::ConnectionHeader& header, const Caller& peer);
  Result<> join_session(std::shared_ptr<Connection> connection, const wire::ConnectionHeader& header);
  Result<std::shared_ptr<SessionCore>> make_session(uint32_t version, FdPassing fd_passing, const Caller& peer);
  Result<> serve_connection(SessionCore& session, const std::shared_ptr<Connection>& connection);
  void forget(const SessionCore& session);

  const ServerOptions options_;
  const UniqueFd wakeup_;
  bool stopped_ = false;
  std::map<const SessionCore*, std::pair<uint32_t, uint32_t>>
      counts_;  // of each session: connections served, connections for calls
  // The ids of the last sessions that have ended. A client does not wait until its further connections are served: when it leaves
  // soon, its session may end before they are looked at, which is nothing to tell anybody of.
  std::deque<wire::SessionId> ended_;
  std::set<std::shared_ptr<Connection>> being_set_up_;
  const std::shared_ptr<ThreadSet> threads_ = std::make_shared<ThreadSet>();
};

// Occupies one of max_connections.
class Server::Impl::CountedConnection {
 public:
  explicit CountedConnection(Impl& server) : server_(server) {}
  ~CountedConnection() {
    const std::lock_guard lock(server_.mutex_);
    --server_.connections_;
  }
  CountedConnection(const CountedConnection&) = delete;
  CountedConnection& operator=(const CountedConnection&) = delete;

 private:
  Impl& server_;
};

// --- Taking connections ---

Result<> Server::Impl::serve(UniqueFd listening) {
  const auto socket = std::make_shared<UniqueFd>(std::move(listening));
  // A client that is gone again must not keep accept() waiting.
  ::fcntl(socket->get(), F_SETFL, ::fcntl(socket->get(), F_GETFL) | O_NONBLOCK);
  return threads_->start("rpc-accept", [self = shared_from_this(), socket] { self->accept_loop(socket->get()); });
}

Result<> Server::Impl::add_bootstrap(UniqueFd socket) {
  const auto receiver = std::make_shared<BootstrapReceiver>(std::move(socket));
  return threads_->start("rpc-bootstrap", [self = shared_from_this(), receiver] { self->bootstrap_loop(*receiver); });
}

// False: the server is being shut down.
Result<bool> Server::Impl::wait_for(int fd, int timeout_ms) {
  std::array<pollfd, 2> polled = {pollfd{wakeup_.get(), POLLIN, 0}, pollfd{fd, POLLIN, 0}};
  if (::poll(polled.data(), polled.size(), timeout_ms) < 0 && errno != EINTR) return fail_errno("poll");
  return polled[0].revents == 0;
}

void Server::Impl::accept_loop(int listening) {
  for (;;) {
    const auto go_on = wait_for(listening);
    if (!go_on || !*go_on) return;
    UniqueFd socket(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.valid()) {
      static_cast<void>(add_connection(std::move(socket)));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      const auto waited = wait_for(-1, kAcceptPauseMs);
      if (!waited || !*waited) return;
    } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
      return;
    }
  }
}

void Server::Impl::bootstrap_loop(BootstrapReceiver& receiver) {
  for (;;) {
    const auto go_on = wait_for(receiver.fd());
    if (!go_on || !*go_on) return;
    auto connected = receiver.receive();
    if (!connected) return;
    if (connected->valid()) static_cast<void>(add_connection(std::move(*connected)));
  }
}

Result<> Server::Impl::add_connection(UniqueFd socket) {
  std::shared_ptr<CountedConnection> counted;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(ErrorCode::kUnavailable, "the server has been shut down");
    if (connections_ < options_.max_connections) {
      ++connections_;
      counted = std::make_shared<CountedConnection>(*this);
    }
  }
  if (!counted) {
    auto refused = fail(ErrorCode::kExhausted, "too many connections");
    report(identify_peer(socket.get()), refused.error());
    return refused;
  }
  const auto shared = std::make_shared<UniqueFd>(std::move(socket));
  return threads_->start("rpc-serve", [self = shared_from_this(), counted = std::move(counted), shared]() mutable {
    const Caller peer = identify_peer(shared->get());
    if (auto done = self->set_up(peer, std::move(*shared)); !done) self->report(peer, done.error());
    counted.reset();
  });
}

// A peer that is gone is none that anybody could do something about.
void Server::Impl::report(const Caller& peer, const Error& error) const {
  if (options_.on_bad_peer && error.code != ErrorCode::kUnavailable) options_.on_bad_peer(peer, error);
}

// --- Sessions ---

Result<> Server::Impl::set_up(const Caller& peer, UniqueFd socket) {
  PeerFilter filter;
  {
    const std::lock_guard lock(mutex_);
    filter = filter_;
  }
  if (filter && !filter(peer)) return fail(ErrorCode::kPermission, "the peer is not welcome");

  // Which of the two a client wants is not known yet; none sends descriptors with its first words.
  auto transport = options_.tls ? TRY(options_.tls->accept(std::move(socket))) : make_socket_transport(std::move(socket));
  auto connection = std::make_shared<Connection>(std::move(transport), options_.allow_fds);
  connection->set_timeout(options_.handshake_timeout);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(ErrorCode::kUnavailable, "the server is being shut down");
    being_set_up_.insert(connection);
  }
  std::array<uint8_t, wire::kConnectionHeaderSize> bytes;
  auto done = connection->read(bytes);
  if (done) {
    const auto header = wire::ConnectionHeader::decode(bytes);
    if (header.session_id_size == 0) {
      done = start_session(connection, header, peer);
    } else if (header.session_id_size == wire::kSessionIdSize) {
      done = join_session(connection, header);
    } else {
      done = fail(ErrorCode::kCorrupt, "a session id of the wrong size");
    }
  }
  const std::lock_guard lock(mutex_);
  being_set_up_.erase(connection);
  return done;
}

Result<std::shared_ptr<SessionCore>> Server::Impl::make_session(uint32_t version, FdPassing fd_passing, const Caller& peer) {
  wire::SessionId id;
  for (size_t have = 0; have < id.size();) {
    const ssize_t got = ::getrandom(id.data() + have, id.size() - have, 0);
    if (got < 0 && errno != EINTR) return fail_errno("getrandom");
    if (got > 0) have += static_cast<size_t>(got);
  }
  RootFactory factory;
  std::shared_ptr<Binder> root;
  {
    const std::lock_guard lock(mutex_);
    factory = root_factory_;
    root = root_;
  }
  if (factory) root = factory(peer);
  SessionCore::Config config{
      .side = Side::kServer,
      .version = version,
      .fd_passing = fd_passing,
      .max_body_size = options_.max_body_size,
      .limits = options_.limits,
      .send_patience = options_.send_timeout,
      .caller = peer,
      .observer = options_.observer,
      .max_threads = options_.max_threads,
      .id = id,
      .root = std::move(root),
      .on_fault =
          [weak = weak_from_this(), peer](const Error& error) {
            if (const auto self = weak.lock()) self->report(peer, error);
          },
      .on_end =
          [weak = weak_from_this()](SessionCore& ended) {
            if (const auto self = weak.lock()) self->forget(ended);
          },
  };
  auto session = std::make_shared<SessionCore>(std::move(config), threads_);
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(ErrorCode::kUnavailable, "the server is being shut down");
  if (sessions_.size() >= options_.max_sessions) return fail(ErrorCode::kExhausted, "too many sessions");
  sessions_.emplace(id, session);
  counts_[session.get()].first = 1;
  return session;
}

Result<> Server::Impl::start_session(std::shared_ptr<Connection> connection, const wire::ConnectionHeader& header,
                                     const Caller& peer) {
  if ((header.options & wire::kConnectionIncoming) != 0)
    return fail(ErrorCode::kCorrupt, "a new session cannot begin with our calls");
  const bool allowed = header.fd_mode == static_cast<uint8_t>(FdPassing::kNone) ||
                       (header.fd_mode == static_cast<uint8_t>(FdPassing::kUnix) && options_.allow_fds);
  if (!allowed) return fail(ErrorCode::kUnsupported, "a way to pass file descriptors that this server does not allow");
  const uint32_t version = std::min(header.version, options_.max_protocol_version);
  const auto session = TRY(make_session(version, FdPassing{header.fd_mode}, peer));
  std::array<uint8_t, wire::kNewSessionResponseSize> response;
  wire::NewSessionResponse{version}.encode(response);
  iovec part{response.data(), response.size()};
  auto done = connection->send(std::span(&part, 1), {}, nullptr, options_.handshake_timeout);
  if (done) done = serve_connection(*session, connection);
  // A session that never got as far as serving ends here.
  session->end(done ? "its first connection is closed" : done.error().message);
  return done;
}

Result<> Server::Impl::join_session(std::shared_ptr<Connection> connection, const wire::ConnectionHeader& header) {
  wire::SessionId id;
  if (auto read = connection->read(id); !read) return read;
  const bool incoming = (header.options & wire::kConnectionIncoming) != 0;
  std::shared_ptr<SessionCore> session;
  {
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find(id);
    if (at == sessions_.end()) {
      if (std::ranges::find(ended_, id) != ended_.end()) return fail(ErrorCode::kUnavailable, "the session has ended");
      return fail(ErrorCode::kNotFound, "no such session");
    }
    auto& [served, called] = counts_[at->second.get()];
    if (incoming ? called >= options_.max_client_threads : served >= options_.max_threads) {
      return fail(ErrorCode::kExhausted, "the session has all its connections");
    }
    ++(incoming ? called : served);
    session = at->second;
  }
  if (!incoming) {
    auto done = serve_connection(*session, connection);
    if (!done) session->end(done.error().message);
    return done;
  }
  // Announced before the client hears of it, so that a call can wait for it.
  if (auto reserved = session->reserve_outgoing(); !reserved) return reserved;
  auto words = wire::kConnectionInit;
  iovec part{words.data(), words.size()};
  if (auto sent = connection->send(std::span(&part, 1), {}, nullptr, options_.handshake_timeout); !sent) {
    session->end(sent.error().message);
    return sent;
  }
  connection->set_timeout(kForever);
  session->add_outgoing(std::move(connection));
  return {};
}

// Reads the client's first words, then serves until the session ends.
Result<> Server::Impl::serve_connection(SessionCore& session, const std::shared_ptr<Connection>& connection) {
  std::array<uint8_t, wire::kConnectionInitSize> bytes;
  if (auto done = connection->read(bytes); !done) return done;
  if (!std::equal(bytes.begin(), bytes.begin() + 4, wire::kConnectionInit.begin())) {
    return fail(ErrorCode::kCorrupt, "the peer does not speak RpcBinder");
  }
  connection->set_timeout(kForever);
  {
    const std::lock_guard lock(mutex_);
    being_set_up_.erase(connection);
  }
  session.serve(connection);
  return {};
}

void Server::Impl::forget(const SessionCore& session) {
  std::shared_ptr<SessionCore> dropped;
  const std::lock_guard lock(mutex_);
  const auto at = sessions_.find(session.config().id);
  if (at == sessions_.end() || at->second.get() != &session) return;
  dropped = std::move(at->second);
  sessions_.erase(at);
  counts_.erase(&session);
  if (ended_.size() == kMaxEnded) ended_.pop_front();
  ended_.push_back(session.config().id);
}

// --- The end ---

void Server::Impl::shutdown() {
  std::map<wire::SessionId, std::shared_ptr<SessionCore>> sessions;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& connection : being_set_up_) connection->shutdown();
    sessions = sessions_;
  }
  ::eventfd_write(wakeup_.get(), 1);
  for (const auto& [id, session] : sessions) session->end("the server has been shut down");
  sessions.clear();
  threads_->join();
  threads_->close();
  threads_->join();
}

// --- The face ---

Server::Server(ServerOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}
Server::~Server() { shutdown(); }
void Server::shutdown() { impl_->shutdown(); }
Result<> Server::serve(UniqueFd listening) { return impl_->serve(std::move(listening)); }
Result<> Server::add_bootstrap(UniqueFd socket) { return impl_->add_bootstrap(std::move(socket)); }
Result<> Server::add_connection(UniqueFd socket) { return impl_->add_connection(std::move(socket)); }

void Server::set_root(std::shared_ptr<Binder> root) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->root_.swap(root);
}

void Server::set_root_factory(RootFactory factory) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->root_factory_.swap(factory);
}

void Server::set_peer_filter(PeerFilter filter) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->filter_.swap(filter);
}

size_t Server::session_count() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->sessions_.size();
}

size_t Server::connection_count() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->connections_;
}

}  // namespace adyton::rpc
