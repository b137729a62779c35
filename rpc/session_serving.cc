// SessionCore: the calls from the peer.
#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "rpc/session_core.h"
#include "rpc/session_core_parts.h"

namespace adyton::rpc {
namespace {

// A reply begins with its exception, an int32; 0: none.
bool holds_exception(const Parcel& reply) {
  const auto bytes = reply.bytes();
  return bytes.size() >= 4 && std::ranges::any_of(bytes.first(4), [](uint8_t byte) { return byte != 0; });
}

}  // namespace

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
      call = {std::move(target), transaction.address, transaction.async_number,
              transaction.code,  transaction.flags,   std::move(data)};
      turn = nodes_.offer_oneway(call);
    }
  }
  if (turn == NodeTable::Turn::kLater) return {};
  if (turn == NodeTable::Turn::kViolation)
    return violation("oneway calls out of number, or too many that wait for an earlier one");
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

Result<> SessionCore::run_call(Connection& connection, std::shared_ptr<Binder> target, const wire::Transaction& transaction,
                               Parcel data) {
  Parcel reply;
  Status status;
  {
    const Frame frame(*this, connection, Frame::Doing::kServing);
    const CallerScope caller(config_.caller);
    const auto begin = ServedCall::Clock::now();
    status = target->transact(transaction.code, data, &reply, transaction.flags);
    if (config_.observer) observe(*target, transaction.code, false, begin, status.is_ok() && !holds_exception(reply));
    // Its proxies go with it, and what that gives back goes with the reply.
    data = Parcel();
  }
  return send_reply(connection, transaction.address, std::move(status), reply);
}

void SessionCore::observe(Binder& target, uint32_t code, bool oneway, ServedCall::Clock::time_point begin, bool succeeded) {
  LocalBinder* const local = target.local();
  if (local == nullptr) return;
  config_.observer->served({.target = *local,
                            .code = code,
                            .oneway = oneway,
                            .succeeded = succeeded,
                            .begin = begin,
                            .end = ServedCall::Clock::now()});
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
      const auto begin = ServedCall::Clock::now();
      static_cast<void>(target->transact(call.code, call.data, nullptr, call.flags));
      if (config_.observer) observe(*target, call.code, true, begin, true);
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

}  // namespace adyton::rpc
