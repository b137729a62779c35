#include "rpc/session_core.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "rpc/remote_binder.h"

namespace adyton::rpc {

namespace {

constexpr size_t kDecStrongCommandSize = wire::kHeaderSize + wire::kDecStrongSize;
constexpr size_t kMaxDecStrongsAtOnce = 64;

std::unexpected<Error> violation(std::string what) { return fail(ErrorCode::kCorrupt, "the peer breaks the protocol: " + std::move(what)); }

// Appends to `bytes` the command that gives back `amount` references.
size_t put_dec_strong(std::span<uint8_t> bytes, uint64_t address, uint64_t amount) {
  wire::Header{wire::kDecStrong, wire::kDecStrongSize}.encode(bytes.first<wire::kHeaderSize>());
  wire::DecStrong{address, static_cast<uint32_t>(amount)}.encode(bytes.subspan<wire::kHeaderSize, wire::kDecStrongSize>());
  return kDecStrongCommandSize;
}

std::vector<uint8_t> encode_all(const std::map<uint64_t, uint64_t>& dec_strongs) {
  std::vector<uint8_t> bytes(dec_strongs.size() * kDecStrongCommandSize);
  size_t at = 0;
  for (const auto& [address, amount] : dec_strongs) at += put_dec_strong(std::span(bytes).subspan(at), address, amount);
  return bytes;
}

iovec part(std::span<const uint8_t> bytes) { return {const_cast<uint8_t*>(bytes.data()), bytes.size()}; }

}  // namespace

// What the calling thread is doing for sessions, the latest on top: which connections it holds, and whether a call may nest on them.
class SessionCore::Frame {
 public:
  enum class Doing : uint8_t { kUsingFree, kUsingServed, kServing, kServingOneway };

  Frame(const SessionCore& session, Connection& connection, Doing doing)
      : session_(session), connection_(connection), doing_(doing), depth_(depth() + (is_serving(doing) ? 1 : 0)), below_(std::exchange(top_, this)) {}
  ~Frame() { top_ = below_; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  static const Frame* top_of(const SessionCore& session) {
    const Frame* frame = top_;
    while (frame && &frame->session_ != &session) frame = frame->below_;
    return frame;
  }
  // Whether this thread keeps a connection for calls from being free.
  static bool holds_connection(const SessionCore& session) {
    for (const Frame* frame = top_; frame; frame = frame->below_) {
      if (&frame->session_ == &session && frame->doing_ == Doing::kUsingFree) return true;
    }
    return false;
  }
  // How many calls this thread is in the middle of serving.
  static unsigned depth() { return top_ ? top_->depth_ : 0; }

  // The peer waits for our reply and will serve what comes instead.
  [[nodiscard]] bool allows_nested() const { return doing_ == Doing::kServing; }
  [[nodiscard]] Connection& connection() const { return connection_; }

 private:
  static bool is_serving(Doing doing) { return doing == Doing::kServing || doing == Doing::kServingOneway; }

  static thread_local const Frame* top_;
  const SessionCore& session_;
  Connection& connection_;
  const Doing doing_;
  const unsigned depth_;
  const Frame* const below_;
};
thread_local const SessionCore::Frame* SessionCore::Frame::top_ = nullptr;

// The use of a connection for one call.
class SessionCore::Lease {
 public:
  // One that the calling thread serves.
  explicit Lease(Connection& nested) : connection_(&nested) {}
  Lease(SessionCore& session, std::shared_ptr<Connection> free, bool to_back)
      : session_(&session), free_(std::move(free)), connection_(free_.get()), to_back_(to_back) {}
  Lease(Lease&& other) noexcept
      : session_(other.session_), free_(std::move(other.free_)), connection_(other.connection_), to_back_(other.to_back_) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (free_) session_->release(std::move(free_), to_back_);
  }
  Connection& operator*() const { return *connection_; }
  [[nodiscard]] Frame::Doing doing() const { return free_ ? Frame::Doing::kUsingFree : Frame::Doing::kUsingServed; }

 private:
  SessionCore* session_ = nullptr;
  std::shared_ptr<Connection> free_;
  Connection* connection_;
  bool to_back_ = false;
};

// Collects what DEC_STRONGs let go of, and lets it go when the connection may be used again: destructors are user code.
class SessionCore::ReleaseLater final : public Connection::DecStrongSink {
 public:
  explicit ReleaseLater(SessionCore& session) : session_(session) {}
  ~ReleaseLater() {
    const bool empty = std::ranges::any_of(released_, &NodeTable::Released::table_is_empty);
    released_.clear();
    if (empty) session_.end("neither side holds an object of the other any more");
  }
  ReleaseLater(const ReleaseLater&) = delete;
  ReleaseLater& operator=(const ReleaseLater&) = delete;

  void on_dec_strong(const wire::DecStrong& command) override {
    const std::lock_guard lock(session_.nodes_mutex_);
    auto released = session_.nodes_.drop_sent(command.address, command.amount);
    if (released.object || released.table_is_empty) released_.push_back(std::move(released));
  }

 private:
  SessionCore& session_;
  std::vector<NodeTable::Released> released_;
};

// A parcel as it is sent: with addresses in place of objects.
struct SessionCore::Payload {
  std::span<const uint8_t> bytes;
  std::vector<uint8_t> patched;  // what `bytes` shows if there are binders
  std::vector<uint32_t> positions;
  std::span<const UniqueFd> fds;

  [[nodiscard]] size_t size() const { return bytes.size() + positions.size() * sizeof(uint32_t); }
};

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
  // The peer's thread on this connection waits for us, so it will serve the call. A oneway call would be run there in place of a reply
  // that somebody waits for: it goes elsewhere if it can.
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
    if (Frame::holds_connection(*this)) return fail(TransportError::kWouldBlock, "no connection is free, and this thread holds one");
    ++waiting_;
    connection_is_free_.wait(lock);
    --waiting_;
  }
}

void SessionCore::release(std::shared_ptr<Connection> connection, bool to_back) {
  if (has_pending_) {
    const Frame frame(*this, *connection, Frame::Doing::kUsingFree);
    if (auto flushed = flush_pending(*connection); !flushed) end(flushed.error().message);
  }
  const std::lock_guard lock(connections_mutex_);
  if (ended_) return;
  // The peer's thread may be busy with a oneway call for long: others are used first.
  idle_.insert(to_back ? idle_.begin() : idle_.end(), std::move(connection));
  if (waiting_ > 0) connection_is_free_.notify_one();
}

Result<> SessionCore::start_serving(std::shared_ptr<Connection> connection) {
  is_served_ = true;
  return threads_->start("rpc-serve", [self = shared_from_this(), connection = std::move(connection)] { self->serve(connection); });
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
      result = flush_pending(*connection);
      if (!result) break;
    }
    const auto header = connection->read_header();
    result = header ? handle(*connection, *header) : std::unexpected(header.error());
  }
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

// --- Sending ---

Status SessionCore::check_sendable(const Parcel& parcel, size_t fixed_size) const {
  size_t positions = 0;
  for (const Parcel::Object& object : parcel.objects()) {
    if (config_.version >= (object.binder ? wire::kVersionWithBinderPositions : wire::kVersionWithParcelSize)) ++positions;
    if (!object.binder || object.binder->local()) continue;
    const auto* remote = dynamic_cast<const RemoteBinder*>(object.binder.get());
    if (!remote || remote->session() != this) {
      return Status::from_transport(TransportError::kInvalidOperation, "an object of another session cannot be sent over this one");
    }
  }
  if (!parcel.fds().empty()) {
    if (config_.fd_passing == FdPassing::kNone || config_.version < wire::kVersionWithParcelSize) {
      return Status::from_transport(TransportError::kFdsNotAllowed, "this session does not pass file descriptors");
    }
    if (parcel.fds().size() > kMaxFdsPerMessage || !std::ranges::all_of(parcel.fds(), &UniqueFd::valid)) {
      return Status::from_transport(TransportError::kBadValue, "too many file descriptors for a call, or one that was taken out");
    }
  }
  const size_t size = fixed_size + parcel.bytes().size() + positions * sizeof(uint32_t);
  if (size > config_.max_body_size) {
    return Status::from_transport(TransportError::kNoMemory, std::to_string(size) + " bytes are more than the " +
                                                                 std::to_string(config_.max_body_size) + " that the peer takes");
  }
  return Status::ok();
}

Status SessionCore::prepare(const Parcel& parcel, Payload& payload) {
  payload.bytes = parcel.bytes();
  payload.fds = parcel.fds();
  if (parcel.objects().empty()) return Status::ok();
  if (!nodes_.has_room_for(parcel.objects().size())) {
    return Status::from_transport(TransportError::kNoMemory, "the session holds as many objects as it may");
  }
  for (const Parcel::Object& object : parcel.objects()) {
    if (config_.version >= (object.binder ? wire::kVersionWithBinderPositions : wire::kVersionWithParcelSize)) {
      payload.positions.push_back(object.position);
    }
    if (!object.binder) continue;
    uint64_t address;
    if (object.binder->local()) {
      address = nodes_.send_local(object.binder);
    } else {
      address = static_cast<const RemoteBinder&>(*object.binder).address();
      nodes_.send_remote(address, object.binder);
    }
    if (payload.patched.empty()) payload.patched.assign(parcel.bytes().begin(), parcel.bytes().end());
    wire::store(payload.patched, object.position + sizeof(int32_t), address);
  }
  if (!payload.patched.empty()) payload.bytes = payload.patched;
  return Status::ok();
}

Result<> SessionCore::transmit(Connection& connection, std::span<const uint8_t> head, Payload& payload, const DecStrongs& before) {
  ReleaseLater sink(*this);
  std::vector<uint8_t> first;
  if (!before.empty()) first = encode_all(before);
  std::array<iovec, 4> parts = {part(first), part(head), part(payload.bytes),
                                iovec{payload.positions.data(), payload.positions.size() * sizeof(uint32_t)}};
  std::span<iovec> left = parts;
  // Descriptors go with the first byte of their command.
  if (!payload.fds.empty() && !first.empty()) {
    if (auto sent = connection.send(left.first(1), {}, &sink, config_.send_patience); !sent) return sent;
    left = left.subspan(1);
  }
  return connection.send(left, payload.fds, &sink, config_.send_patience);
}

void SessionCore::give_back_later(uint64_t address, uint32_t amount) {
  if (amount == 0) return;
  pending_[address] += amount;
  has_pending_ = true;
}

SessionCore::DecStrongs SessionCore::take_pending() {
  DecStrongs taken;
  while (!pending_.empty() && taken.size() < kMaxDecStrongsAtOnce) {
    const auto at = pending_.begin();
    const uint64_t amount = std::min<uint64_t>(at->second, std::numeric_limits<uint32_t>::max());
    taken.emplace(at->first, amount);
    at->second -= amount;
    if (at->second == 0) pending_.erase(at);
  }
  has_pending_ = !pending_.empty();
  return taken;
}

// Never waits for a peer that does not read: destructors call this, and what is not sent now goes along with a later command.
Result<> SessionCore::flush_pending(Connection& connection) {
  for (;;) {
    DecStrongs taken;
    {
      const std::lock_guard lock(nodes_mutex_);
      taken = take_pending();
    }
    if (taken.empty()) return {};
    ReleaseLater sink(*this);
    const bool sent = TRY(connection.try_send(encode_all(taken), &sink, config_.send_patience));
    if (sent) continue;
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return {};
    for (const auto& [address, amount] : taken) pending_[address] += amount;
    has_pending_ = true;
    return {};
  }
}

void SessionCore::flush_pending_somewhere() {
  // In the middle of a call or of serving one, this thread sends something soon.
  if (Frame::top_of(*this)) return;
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(connections_mutex_);
    if (ended_ || idle_.empty()) return;
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  release(std::move(connection), false);
}

// --- Calls from here ---

Status SessionCore::call(RemoteBinder* target, uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) {
  if (reply) *reply = Parcel();
  if (ended_) return dead();
  const bool oneway = (flags & kOneway) != 0;
  if (Status sendable = check_sendable(data, wire::kTransactionSize); !sendable.is_ok()) return sendable;
  auto lease = acquire(oneway);
  if (!lease) return std::move(lease).error();
  Connection& connection = **lease;

  wire::Transaction transaction{.address = target ? target->address() : 0, .code = code, .flags = flags};
  Payload payload;
  DecStrongs pending;
  bool out_of_numbers = false;
  {
    std::unique_lock lock(nodes_mutex_);
    if (closed_) {
      lock.unlock();
      return dead();
    }
    if (Status prepared = prepare(data, payload); !prepared.is_ok()) return prepared;
    if (target) {
      nodes_.send_remote(target->address(), target->shared_from_this());
      if (oneway) {
        const auto number = nodes_.next_async_number(target->address());
        out_of_numbers = !number;
        transaction.async_number = number.value_or(0);
      }
    }
    if (!pending_.empty()) pending = take_pending();
  }
  if (out_of_numbers) {
    end("the oneway calls to an object have used up their numbers");
    return dead();
  }
  transaction.parcel_size = static_cast<uint32_t>(payload.bytes.size());
  std::array<uint8_t, wire::kHeaderSize + wire::kTransactionSize> head;
  const std::span head_bytes(head);
  wire::Header{wire::kTransact, static_cast<uint32_t>(wire::kTransactionSize + payload.size())}.encode(
      head_bytes.first<wire::kHeaderSize>());
  transaction.encode(head_bytes.last<wire::kTransactionSize>());

  const Frame frame(*this, connection, lease->doing());
  Status status;
  auto done = transmit(connection, head, payload, pending);
  if (done && !oneway) {
    done = await_reply(connection, reply, status);
  } else if (done) {
    // The peer gives references back on this connection while nobody here waits for a reply: they must not fill it up.
    ReleaseLater sink(*this);
    if (connection.note_oneway()) done = connection.drain(sink);
  }
  if (!done) {
    end(done.error().message);
    return dead();
  }
  return status;
}

Result<> SessionCore::await_reply(Connection& connection, Parcel* reply, Status& status) {
  for (;;) {
    const auto header = TRY(connection.read_header());
    if (header.command == wire::kReply) return read_reply(connection, header, reply, status);
    if (auto handled = handle(connection, header); !handled) return handled;
  }
}

Result<> SessionCore::read_reply(Connection& connection, const wire::Header& header, Parcel* reply, Status& status) {
  const size_t fixed_size = wire::reply_size(config_.version);
  if (header.body_size < fixed_size) return violation("a reply that is too short");
  const size_t rest = header.body_size - fixed_size;
  if (rest > config_.max_body_size) return violation("a reply that is too long");
  std::array<uint8_t, wire::kReplySize> bytes;
  const std::span fixed(bytes.data(), fixed_size);
  if (auto done = connection.read(fixed); !done) return done;
  const auto answer = wire::Reply::decode(fixed);
  if (answer.status != 0) {
    TRY(connection.read_bytes(rest));
    TRY(connection.take_fds());
    status = Status::from_transport(TransportError{answer.status});
    return {};
  }
  auto parcel = TRY(read_parcel(connection, rest, answer.parcel_size));
  if (reply) *reply = std::move(parcel);
  return {};
}

Result<Parcel> SessionCore::read_parcel(Connection& connection, size_t size, uint32_t parcel_size) {
  if (config_.version < wire::kVersionWithParcelSize) parcel_size = static_cast<uint32_t>(size);
  if (parcel_size > size) return violation("a parcel that is longer than its command");
  const size_t table_size = size - parcel_size;
  if (table_size % sizeof(uint32_t) != 0) return violation("a broken table of objects");
  auto bytes = TRY(connection.read_bytes(parcel_size));
  std::vector<uint32_t> positions;
  if (table_size != 0) {
    const auto table = TRY(connection.read_bytes(table_size));
    positions.resize(table_size / sizeof(uint32_t));
    std::memcpy(positions.data(), table.data(), table_size);
  }
  auto fds = TRY(connection.take_fds());
  if (config_.fd_passing == FdPassing::kNone) fds.clear();
  auto parcel = Parcel::received(std::move(bytes), std::move(positions), std::move(fds), shared_from_this());
  if (!parcel) return violation(parcel.error().message());
  return *std::move(parcel);
}

// --- Objects that arrive ---

Reply<std::shared_ptr<Binder>> SessionCore::binder_at(uint64_t wire_address) {
  std::expected<std::shared_ptr<Binder>, TransportError> object;
  NodeTable::Released released;
  {
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return fail(TransportError::kDeadObject);
    object = nodes_.receive(wire_address, [this](uint64_t address) { return std::make_shared<RemoteBinder>(shared_from_this(), address); });
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

// --- Calls from the peer ---

Result<> SessionCore::handle(Connection& connection, const wire::Header& header) {
  switch (header.command) {
    case wire::kTransact: return handle_transaction(connection, header);
    case wire::kDecStrong: return handle_dec_strong(connection, header);
    case wire::kReply: return violation("a reply that nobody waits for");
    default: return violation("unknown command " + std::to_string(header.command));
  }
}

Result<> SessionCore::handle_dec_strong(Connection& connection, const wire::Header& header) {
  if (header.body_size != wire::kDecStrongSize) return violation("a DEC_STRONG of the wrong size");
  std::array<uint8_t, wire::kDecStrongSize> bytes;
  if (auto done = connection.read(bytes); !done) return done;
  TRY(connection.take_fds());
  ReleaseLater(*this).on_dec_strong(wire::DecStrong::decode(bytes));
  return {};
}

Result<> SessionCore::handle_transaction(Connection& connection, const wire::Header& header) {
  if (header.body_size < wire::kTransactionSize) return violation("a call that is too short");
  if (header.body_size > config_.max_body_size) return violation("a call that is too long");
  if (Frame::depth() >= kMaxCallDepth) return violation("calls nested too deep");
  std::array<uint8_t, wire::kTransactionSize> bytes;
  if (auto done = connection.read(bytes); !done) return done;
  const auto transaction = wire::Transaction::decode(bytes);
  Parcel data = TRY(read_parcel(connection, header.body_size - wire::kTransactionSize, transaction.parcel_size));
  const bool oneway = (transaction.flags & kOneway) != 0;

  if (transaction.address == 0) {
    Parcel reply;
    Status status = answer_for_session(transaction, &reply);
    if (oneway) return {};
    return send_reply(connection, 0, std::move(status), reply);
  }
  std::shared_ptr<Binder> target;
  NodeTable::OnewayCall call;
  auto turn = NodeTable::Turn::kNow;
  {
    const std::lock_guard lock(nodes_mutex_);
    target = nodes_.receive_target(transaction.address);
    if (target && oneway) {
      call = {std::move(target), transaction.address, transaction.async_number, transaction.code, transaction.flags, std::move(data)};
      turn = nodes_.offer_oneway(call);
    }
  }
  if (turn == NodeTable::Turn::kLater) return {};
  if (turn == NodeTable::Turn::kViolation) return violation("oneway calls out of number, or too many that wait for an earlier one");
  if (oneway && call.target) return run_oneways(connection, std::move(call));
  if (!target) return violation("a call to an object that is not here");
  return run_call(connection, std::move(target), transaction, std::move(data));
}

Status SessionCore::answer_for_session(const wire::Transaction& transaction, Parcel* reply) {
  switch (transaction.code) {
    case wire::kGetRoot: {
      if (config_.side == Side::kClient) break;
      const std::lock_guard lock(nodes_mutex_);
      reply->write_binder(root_);
      return Status::ok();
    }
    case wire::kGetMaxThreads: reply->write_int32(static_cast<int32_t>(config_.max_threads)); return Status::ok();
    case wire::kGetSessionId: reply->write_vector(std::span<const uint8_t>(config_.id)); return Status::ok();
    default: break;
  }
  return Status::from_transport(TransportError::kUnknownTransaction);
}

Result<> SessionCore::run_call(Connection& connection, std::shared_ptr<Binder> target, const wire::Transaction& transaction, Parcel data) {
  Parcel reply;
  Status status;
  {
    const Frame frame(*this, connection, Frame::Doing::kServing);
    const CallerScope caller(config_.caller);
    status = target->transact(transaction.code, data, &reply, transaction.flags);
    // Its proxies go with it, and what that gives back goes with the reply.
    data = Parcel();
  }
  return send_reply(connection, transaction.address, std::move(status), reply);
}

Result<> SessionCore::run_oneways(Connection& connection, NodeTable::OnewayCall call) {
  const uint64_t address = call.address;
  // Keeps the node while there is something to give back.
  const std::shared_ptr<Binder> target = call.target;
  for (;;) {
    {
      const Frame frame(*this, connection, Frame::Doing::kServingOneway);
      const CallerScope caller(config_.caller);
      // Nobody is told how it went.
      static_cast<void>(target->transact(call.code, call.data, nullptr, call.flags));
      call.data = Parcel();
    }
    std::optional<NodeTable::OnewayCall> next;
    NodeTable::Released released;
    {
      const std::lock_guard lock(nodes_mutex_);
      next = nodes_.finish_oneway(address);
      if (!next) {
        auto [amount, unused] = nodes_.give_back(address);
        if (!closed_) give_back_later(address, amount);
        released = std::move(unused);
      }
    }
    if (released.table_is_empty) end("neither side holds an object of the other any more");
    if (!next) return {};
    call = *std::move(next);
  }
}

Result<> SessionCore::send_reply(Connection& connection, uint64_t target_address, Status status, const Parcel& reply) {
  const size_t fixed_size = wire::reply_size(config_.version);
  // AOSP's receiver counts what follows the fixed part only.
  if (status.is_ok()) status = check_sendable(reply, 0);
  Payload payload;
  DecStrongs pending;
  uint32_t amount = 0;
  NodeTable::Released released;
  {
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return fail(ErrorCode::kUnavailable, "the session has ended");
    if (status.is_ok()) status = prepare(reply, payload);
    if (target_address != 0) std::tie(amount, released) = nodes_.give_back(target_address);
    if (!pending_.empty()) pending = take_pending();
  }
  std::array<uint8_t, kDecStrongCommandSize + wire::kHeaderSize + wire::kReplySize> head;
  const std::span head_bytes(head);
  size_t at = 0;
  if (amount != 0) {
    // The target's reference goes back before the reply, in one message if no descriptors have to go with the reply's first byte.
    if (!payload.fds.empty()) {
      pending[target_address] += amount;
    } else {
      at += put_dec_strong(head_bytes, target_address, amount);
    }
  }
  wire::Header{wire::kReply, static_cast<uint32_t>(fixed_size + payload.size())}.encode(
      head_bytes.subspan(at).first<wire::kHeaderSize>());
  at += wire::kHeaderSize;
  wire::Reply{static_cast<int32_t>(status.transport_error()), static_cast<uint32_t>(payload.bytes.size())}.encode(
      head_bytes.subspan(at, fixed_size));
  at += fixed_size;
  auto sent = transmit(connection, head_bytes.first(at), payload, pending);
  if (released.table_is_empty) end("neither side holds an object of the other any more");
  return sent;
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
bool SessionCore::is_unused() const { return abandoned_ && (nodes_.size() == 0 || (nodes_.proxy_count() == 0 && !is_served_)); }

size_t SessionCore::node_count() const {
  const std::lock_guard lock(nodes_mutex_);
  return nodes_.size();
}

}  // namespace adyton::rpc
