// SessionCore: what is sent, and the calls from here.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "rpc/remote_binder.h"
#include "rpc/session_core.h"
#include "rpc/session_core_parts.h"

namespace adyton::rpc {

namespace {

constexpr size_t kMaxDecStrongsAtOnce = 64;

std::vector<uint8_t> encode_all(const std::map<uint64_t, uint64_t>& dec_strongs) {
  std::vector<uint8_t> bytes(dec_strongs.size() * kDecStrongCommandSize);
  size_t at = 0;
  for (const auto& [address, amount] : dec_strongs) at += put_dec_strong(std::span(bytes).subspan(at), address, amount);
  return bytes;
}

iovec part(std::span<const uint8_t> bytes) { return {const_cast<uint8_t*>(bytes.data()), bytes.size()}; }

}  // namespace

// --- Sending ---

Status SessionCore::check_sendable(const Parcel& parcel, size_t fixed_size) const {
  size_t positions = 0;
  for (const Parcel::Object& object : parcel.objects()) {
    if (config_.version >= (object.binder ? wire::kVersionWithBinderPositions : wire::kVersionWithParcelSize)) ++positions;
    if (!object.binder || object.binder->local()) continue;
    const auto* remote = dynamic_cast<const RemoteBinder*>(object.binder.get());
    if (!remote || remote->session() != this) {
      return Status::from_transport(TransportError::kInvalidOperation,
                                    "an object of another session cannot be sent over this one");
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
      nodes_.send_remote(address);
    }
    if (payload.patched.empty()) payload.patched.assign(parcel.bytes().begin(), parcel.bytes().end());
    wire::store(payload.patched, object.position + sizeof(int32_t), address);
  }
  if (!payload.patched.empty()) payload.bytes = payload.patched;
  return Status::ok();
}

Result<> SessionCore::transmit(Connection& connection, std::span<const uint8_t> head, Payload& payload,
                               const DecStrongs& before) {
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

// Never waits for a peer that does not read: destructors call this, and what is not sent now (false) goes along with a later
// command.
Result<bool> SessionCore::flush_pending(Connection& connection) {
  for (;;) {
    DecStrongs taken;
    {
      const std::lock_guard lock(nodes_mutex_);
      taken = take_pending();
    }
    if (taken.empty()) return true;
    ReleaseLater sink(*this);
    const bool sent = TRY(connection.try_send(encode_all(taken), &sink, config_.send_patience));
    if (sent) continue;
    const std::lock_guard lock(nodes_mutex_);
    if (closed_) return true;
    for (const auto& [address, amount] : taken) pending_[address] += amount;
    has_pending_ = true;
    return false;
  }
}

bool SessionCore::flush_pending_somewhere() {
  // In the middle of a call or of serving one, this thread sends something soon.
  if (Frame::top_of(*this)) return true;
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(connections_mutex_);
    if (ended_ || outgoing_ == 0) return false;
    if (idle_.empty()) return true;  // whoever uses one now sees to it when it is free again
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  release(std::move(connection), false);
  return true;
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
      nodes_.send_remote(target->address());
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

}  // namespace adyton::rpc
