#include "rpc/session_core.h"

#include <poll.h>

#include <atomic>
#include <utility>

#include "rpc/remote_binder.h"
#include "rpc/session_core_parts.h"

namespace adyton::rpc {

SessionCore::SessionCore(Config config, std::shared_ptr<ThreadSet> threads)
    : config_(std::move(config)),
      threads_(std::move(threads)),
      nodes_(config_.side, config_.limits),
      root_(std::move(config_.root)) {
  static std::atomic<uint64_t> last_session = 0;
  config_.caller.session = ++last_session;
}

SessionCore::~SessionCore() = default;

Status SessionCore::dead() const {
  const std::lock_guard lock(connections_mutex_);
  return Status::from_transport(TransportError::kDeadObject, "the session has ended: " + why_ended_);
}

// --- Connections ---

Result<> SessionCore::reserve_outgoing() {
  const std::lock_guard lock(connections_mutex_);
  if (ended_) return fail(ErrorCode::kUnavailable, "the session has ended");
  ++outgoing_;
  return {};
}

void SessionCore::add_outgoing(std::shared_ptr<Connection> connection) {
  const std::lock_guard lock(connections_mutex_);
  if (ended_) {
    connection->shutdown();
    return;
  }
  connections_.push_back(connection);
  idle_.push_back(std::move(connection));
  connection_is_free_.notify_one();
}

Reply<SessionCore::Lease> SessionCore::acquire(bool oneway) {
  const Frame* frame = Frame::top_of(*this);
  const bool may_nest = frame && frame->allows_nested();
  // The peer's thread on this connection waits for us, so it will serve the call. A oneway call would be run there in place of a
  // reply that somebody waits for: it goes elsewhere if it can.
  if (may_nest && !oneway) return Lease(frame->connection());
  std::unique_lock lock(connections_mutex_);
  for (;;) {
    if (ended_) {
      lock.unlock();
      return std::unexpected(dead());
    }
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return Lease(*this, std::move(connection), oneway);
    }
    if (outgoing_ == 0 && may_nest) return Lease(frame->connection());
    if (outgoing_ == 0) return fail(TransportError::kWouldBlock, "the peer has opened no connection for calls in this direction");
    if (Frame::holds_connection(*this))
      return fail(TransportError::kWouldBlock, "no connection is free, and this thread holds one");
    ++waiting_;
    connection_is_free_.wait(lock);
    --waiting_;
  }
}

void SessionCore::release(std::shared_ptr<Connection> connection, bool to_back) {
  const auto flush = [&] {
    const Frame frame(*this, *connection, Frame::Doing::kUsingFree);
    auto flushed = flush_pending(*connection);
    if (!flushed) end(flushed.error().message);
    return flushed && *flushed;
  };
  bool flushing = !has_pending_ || flush();
  std::unique_lock lock(connections_mutex_);
  // Who had something to give back just now found no connection free, and relies on this.
  while (flushing && has_pending_ && !ended_) {
    lock.unlock();
    flushing = flush();
    lock.lock();
  }
  if (ended_) return;
  // The peer's thread may be busy with a oneway call for long: others are used first.
  idle_.insert(to_back ? idle_.begin() : idle_.end(), std::move(connection));
  if (waiting_ > 0) connection_is_free_.notify_one();
}

Result<> SessionCore::start_serving(std::shared_ptr<Connection> connection) {
  is_served_ = true;
  return threads_->start("rpc-serve",
                         [self = shared_from_this(), connection = std::move(connection)] { self->serve(connection); });
}

void SessionCore::serve(const std::shared_ptr<Connection>& connection) {
  {
    const std::lock_guard lock(connections_mutex_);
    if (ended_) return connection->shutdown();
    connections_.push_back(connection);
    is_served_ = true;
  }
  Result<> result;
  while (result) {
    // References are given back when there is nothing else to do, so that many calls are one message.
    if (has_pending_ && !connection->has_input()) {
      // The peer reads at once where it serves; here only when it makes its next call.
      if (!flush_pending_somewhere()) {
        if (auto flushed = flush_pending(*connection); !flushed) result = std::unexpected(std::move(flushed).error());
      }
      if (!result) break;
    }
    const auto header = connection->read_header();
    result = header ? handle(*connection, *header) : std::unexpected(header.error());
  }
  if (config_.on_fault && !ended_) config_.on_fault(result.error());
  end(result.error().message);
}

Status SessionCore::watch() {
  std::vector<std::shared_ptr<Connection>> connections;
  {
    const std::lock_guard lock(connections_mutex_);
    if (is_served_ || watched_ || ended_) return Status::ok();
    watched_ = true;
    connections = connections_;
  }
  const auto started = threads_->start("rpc-watch", [self = shared_from_this(), connections = std::move(connections)] {
    std::vector<pollfd> polled;
    for (const auto& connection : connections) polled.push_back({connection->fd(), POLLRDHUP, 0});
    // The session's own end shows here too: it shuts the connections down.
    while (!self->ended_) {
      if (::poll(polled.data(), polled.size(), -1) > 0) self->end("the peer has closed the connection");
    }
  });
  return started ? Status::ok() : Status::from_transport(TransportError::kNoMemory, started.error().message);
}

// --- Objects that arrive ---

Reply<std::shared_ptr<Binder>> SessionCore::binder_at(uint64_t wire_address) {
  std::expected<std::shared_ptr<Binder>, TransportError> object;
  NodeTable::Released released;
  {
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return fail(TransportError::kDeadObject);
    object = nodes_.receive(wire_address,
                            [this](uint64_t address) { return std::make_shared<RemoteBinder>(shared_from_this(), address); });
    // For one of ours that comes back no count is kept: having it, we need none.
    if (object && (*object)->local()) {
      auto [amount, unused] = nodes_.give_back(wire_address);
      give_back_later(wire_address, amount);
      released = std::move(unused);
    }
  }
  if (!object) return fail(object.error(), "an address that the peer cannot send");
  return *std::move(object);
}

void SessionCore::proxy_is_gone(uint64_t address, const RemoteBinder* proxy) {
  NodeTable::Released released;
  bool unused = false;
  {
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return;
    auto [amount, rest] = nodes_.proxy_is_gone(address, proxy);
    give_back_later(address, amount);
    released = std::move(rest);
    unused = is_unused();
  }
  flush_pending_somewhere();
  if (released.table_is_empty) end("neither side holds an object of the other any more");
  if (unused) end("nobody uses it any more");
}

// --- The end ---

void SessionCore::end(const std::string& why) {
  std::vector<std::shared_ptr<Connection>> connections;
  std::vector<std::shared_ptr<Connection>> idle;
  {
    const std::lock_guard lock(connections_mutex_);
    if (ended_.exchange(true)) return;
    why_ended_ = why;
    for (const auto& connection : connections_) connection->shutdown();
    connections.swap(connections_);
    idle.swap(idle_);
    connection_is_free_.notify_all();
  }
  NodeTable::Remains remains;
  std::shared_ptr<Binder> root;
  {
    const std::lock_guard lock(nodes_mutex_);
    closed_ = true;
    // It may hold proxies of the client's objects, and they this session.
    root.swap(root_);
    remains = nodes_.clear();
    pending_.clear();
    has_pending_ = false;
  }
  std::vector<DeathRecipient> recipients;
  for (const auto& proxy : remains.proxies) {
    auto more = static_cast<RemoteBinder&>(*proxy).take_recipients();
    recipients.insert(recipients.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  if (config_.on_end) config_.on_end(*this);
  if (recipients.empty()) return;
  // The thread that sees the end may be anybody's, in the middle of a call.
  auto tell = [recipients = std::make_shared<std::vector<DeathRecipient>>(std::move(recipients))] {
    for (const DeathRecipient& recipient : *recipients) recipient();
  };
  if (!threads_->start("rpc-obituary", tell)) tell();
}

void SessionCore::end_and_join(const std::string& why) {
  end(why);
  threads_->join();
}

void SessionCore::abandon() {
  bool unused;
  {
    const std::lock_guard lock(nodes_mutex_);
    abandoned_ = true;
    unused = is_unused();
  }
  if (unused) end("nobody uses it any more");
}

// Without a thread that serves, the peer reaches objects here only while it is called.
bool SessionCore::is_unused() const {
  return abandoned_ && nodes_.proxy_count() == 0 && (nodes_.local_count() == 0 || !is_served_);
}

size_t SessionCore::node_count() const {
  const std::lock_guard lock(nodes_mutex_);
  return nodes_.size();
}

}  // namespace adyton::rpc
