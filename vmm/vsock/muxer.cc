#include "vmm/vsock/muxer.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log/logger.h"

namespace adyton::vmm::vsock {
namespace {

const log::Logger kLog("vsock");

constexpr size_t kMaxIovecs = 1024;  // IOV_MAX

// unix(7): a message may be this much shorter than the sender's SO_SNDBUF, of which the kernel makes twice what it is given.
constexpr uint32_t kSendBufferExtra = 32;

Result<std::array<UniqueFd, 2>> make_socket_pair(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("create a socket pair");
  return std::array{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void set_longest_message(int fd, uint32_t bytes) {
  const int size = static_cast<int>((bytes + kSendBufferExtra + 1) / 2);
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
}

// What the host permits of `wanted` (net.core.wmem_max).
uint32_t longest_message_here(uint32_t wanted) {
  const auto pair = make_socket_pair(SOCK_SEQPACKET);
  if (!pair) return wanted;
  set_longest_message((*pair)[0].get(), wanted);
  int size = 0;
  socklen_t length = sizeof(size);
  if (::getsockopt((*pair)[0].get(), SOL_SOCKET, SO_SNDBUF, &size, &length) != 0) return wanted;
  return std::min(wanted, static_cast<uint32_t>(size) - kSendBufferExtra);
}

}  // namespace

void Muxer::bind(virtio::EventLoop& loop, observe::TraceSource& trace, std::function<void()> on_output) {
  loop_ = &loop;
  trace_ = &trace;
  on_output_ = std::move(on_output);
  longest_message_ = longest_message_here(limits_.buffer_bytes);
}

Result<std::array<UniqueFd, 2>> Muxer::make_pair(PacketType type) const {
  if (type != PacketType::kSeqpacket) return make_socket_pair(SOCK_STREAM);
  auto pair = TRY(make_socket_pair(SOCK_SEQPACKET));
  for (const UniqueFd& end : pair) set_longest_message(end.get(), longest_message_);
  return pair;
}

Result<void> Muxer::listen(uint32_t port, PacketType type, Listener listener) {
  const std::lock_guard lock(listeners_mutex_);
  if (!listeners_.emplace(port, Listening{type, std::make_shared<Listener>(std::move(listener))}).second) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("vsock port {} has a listener already", port));
  }
  return {};
}

void Muxer::unlisten(uint32_t port) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.erase(port);
}

Result<UniqueFd> Muxer::connect(uint32_t guest_port, PacketType type) {
  if (!loop_) return fail(ErrorCode::kUnavailable, "the vsock device is not attached yet");
  auto [ours, theirs] = TRY(make_pair(type));
  // A std::function must be copyable.
  loop_->post([this, guest_port, type, socket = std::make_shared<UniqueFd>(std::move(ours))] {
    start_connection(guest_port, type, std::move(*socket), /*announce=*/false);
  });
  return std::move(theirs);
}

void Muxer::connect_hybrid(uint32_t guest_port, UniqueFd socket) {
  if (!loop_) return;
  loop_->post([this, guest_port, shared = std::make_shared<UniqueFd>(std::move(socket))] {
    start_connection(guest_port, PacketType::kStream, std::move(*shared), /*announce=*/true);
  });
}

void Muxer::answer(uint32_t id, UniqueFd socket) {
  if (!loop_) return;
  loop_->post([this, id, shared = std::make_shared<UniqueFd>(std::move(socket))] { on_answer(id, std::move(*shared)); });
}

void Muxer::set_tap(Tap tap) {
  if (!loop_) {
    tap_ = std::move(tap);
    return;
  }
  loop_->run_sync([this, &tap] { tap_ = std::move(tap); });
}

void Muxer::set_active(bool active, bool seqpacket) {
  active_ = active;
  seqpacket_ = active && seqpacket;
  if (!active) reset();
}

void Muxer::reset() {
  for (ChannelList* list : {&ready_, &idle_}) {
    while (!list->empty()) {
      leave_to_host(list->begin());
      remove(list->begin());
    }
  }
  while (!waiting_.empty()) forget_question(waiting_.begin()->first);
  replies_.clear();
}

void Muxer::start_connection(uint32_t guest_port, PacketType type, UniqueFd socket, bool announce) {
  if (!active_ || !knows(type) || full()) return;
  const auto host_port = pick_host_port(guest_port);
  if (!host_port) return;
  auto channel = add(Connection::initiate({guest_cid_, guest_port, *host_port, type}, buffer_bytes(type)), std::move(socket));
  if (!channel) return;
  (*channel)->announce = announce;
  set_timer(*channel, limits_.connect_timeout);
  settle(*channel);
  on_output_();
}

std::optional<uint32_t> Muxer::pick_host_port(uint32_t guest_port) {
  for (size_t tries = 0; tries <= limits_.max_connections; ++tries) {
    const uint32_t port = next_host_port_;
    next_host_port_ = port < 0xfffffffe ? port + 1 : kFirstHostPort;
    if (!channels_.contains(key_of(port, guest_port)) && !questions_.contains(key_of(port, guest_port))) return port;
  }
  return std::nullopt;
}

Result<Muxer::Handle> Muxer::add(const Connection& connection, UniqueFd socket) {
  if (connection.seqpacket() && !overflow_) overflow_ = std::make_unique_for_overwrite<uint8_t[]>(longest_message_);
  idle_.emplace_back(connection, std::move(socket), buffer_bytes(connection.identity().type));
  const Handle channel = std::prev(idle_.end());
  // The host's bytes are of no interest before the guest has accepted.
  if (!connection.connecting()) {
    if (auto watched = channel->backend->watch(*loop_, [this, channel](uint32_t events) { on_socket(channel, events); });
        !watched) {
      idle_.erase(channel);
      return std::unexpected(watched.error());
    }
  }
  channels_[key_of(connection)] = channel;
  return channel;
}

void Muxer::remove(Handle channel) {
  if (channel->timer) loop_->cancel(*channel->timer);
  if (channel->opened) {
    closed_.add();
    trace(observe::TraceType::kVsockClosed, channel->connection);
  }
  channels_.erase(key_of(channel->connection));
  (channel->queued ? ready_ : idle_).erase(channel);
}

void Muxer::opened(Handle channel) {
  channel->opened = true;
  opened_.add();
  trace(observe::TraceType::kVsockOpened, channel->connection);
}

void Muxer::trace(observe::TraceType type, const Connection& connection) {
  if (!trace_->wants(observe::TraceCategory::kVsock)) [[likely]]
    return;
  const Connection::Identity& identity = connection.identity();
  trace_->write(type,
                observe::TraceVsock{
                    .guest_port = identity.guest_port, .host_port = identity.host_port, .seqpacket = connection.seqpacket()});
}

Muxer::Statistics Muxer::statistics() const {
  Statistics statistics;
  // In this order, so that no connection is seen to close without having been opened.
  const uint64_t closed = closed_.value();
  statistics.opened = opened_.value();
  statistics.connections = statistics.opened - std::min(closed, statistics.opened);
  statistics.refused = refused_.value();
  statistics.bytes_from_guest = bytes_from_guest_.value();
  statistics.bytes_to_guest = bytes_to_guest_.value();
  return statistics;
}

void Muxer::set_timer(Handle channel, std::chrono::milliseconds delay) {
  if (channel->timer) loop_->cancel(*channel->timer);
  channel->timer = loop_->schedule(delay, [this, channel] {
    channel->timer.reset();
    channel->connection.abort();
    settle(channel);
    on_output_();
  });
}

void Muxer::enqueue(Handle channel) {
  if (std::exchange(channel->queued, true)) return;
  ready_.splice(ready_.end(), idle_, channel);
}

void Muxer::dequeue(Handle channel) {
  if (!std::exchange(channel->queued, false)) return;
  idle_.splice(idle_.end(), ready_, channel);
}

bool Muxer::wants_to_send(const Channel& channel) const {
  if (channel.connection.has_control()) return true;
  return (channel.readable || channel.backend->has_rest()) && !channel.host_ended && channel.connection.send_window() > 0;
}

void Muxer::settle(Handle channel) {
  Connection& connection = channel->connection;
  if (connection.finished()) {
    remove(channel);
    return;
  }
  if (connection.closed()) {
    channel->backend->close();
  } else if (connection.awaiting_reset()) {
    connection.on_drained(channel->backend->buffered());
    channel->backend->close();
    if (!channel->timer) set_timer(channel, limits_.close_timeout);
  } else if ((channel->readable || channel->backend->has_rest()) && !channel->host_ended && connection.send_window() == 0) {
    connection.on_window_shut();
  }
  if (wants_to_send(*channel)) {
    enqueue(channel);
  } else {
    dequeue(channel);
  }
}

// What the guest sent stays the host's to read, although the connection is over.
void Muxer::leave_to_host(Handle channel) {
  if (!channel->backend->has_deliverable()) return;
  orphans_.push_back(std::exchange(channel->backend, std::make_unique<Backend>(UniqueFd(), 0)));
  const auto orphan = std::prev(orphans_.end());
  auto watched = (*orphan)->watch(*loop_, [this, orphan](uint32_t events) {
    if ((*orphan)->flush().broken || !(*orphan)->has_deliverable() || (events & (EPOLLHUP | EPOLLERR))) orphans_.erase(orphan);
  });
  if (!watched) orphans_.erase(orphan);
}

void Muxer::on_sent(Handle channel, const Backend::Sent& sent) {
  channel->connection.on_drained(sent.taken);
  if (sent.broken) channel->connection.on_host_stopped_reading();
  if (channel->guest_ended && !channel->backend->has_deliverable()) channel->backend->shutdown_writing();
}

void Muxer::on_socket(Handle channel, uint32_t events) {
  if (channel->backend->has_deliverable()) on_sent(channel, channel->backend->flush());
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) channel->readable = true;
  if ((events & (EPOLLHUP | EPOLLERR)) && channel->host_ended) channel->connection.on_host_stopped_reading();
  settle(channel);
  if (has_output()) on_output_();
}

void Muxer::reply_reset(const PacketHeader& header) {
  PacketHeader reply;
  reply.src_cid = header.dst_cid;
  reply.dst_cid = header.src_cid;
  reply.src_port = header.dst_port;
  reply.dst_port = header.src_port;
  reply.type = header.type;
  reply.op = Op::kRst;
  replies_.push_back(reply);
  if (header.op == Op::kRequest) refused_.add();
}

void Muxer::on_guest_packet(const PacketHeader& header, std::span<const iovec> payload) {
  offer_to_tap(header, payload);
  // A guest speaks for itself only.
  if (header.src_cid != guest_cid_) {
    kLog.warning(spoofed_limit_, {}, "the guest sent a packet in the name of CID {}", header.src_cid);
    return;
  }
  const bool is_reset = header.op == Op::kRst;
  // Section 5.10.6.4.1: an unknown type is answered with a RST. Other guests are not reachable from here.
  if (!knows(header.type) || header.dst_cid != kHostCid) {
    kLog.debug(unknown_limit_, {}, "the guest sent a packet of type {} to CID {}", static_cast<unsigned>(header.type),
               header.dst_cid);
    if (!is_reset) reply_reset(header);
    return;
  }
  const Key key = key_of(header.dst_port, header.src_port);
  if (const auto question = questions_.find(key); question != questions_.end()) {
    // There is no connection yet: only its end makes sense, and the same request again.
    const bool again = header.op == Op::kRequest && header.type == waiting_[question->second].request.type;
    if (!again) forget_question(question->second);
    if (!again && !is_reset) reply_reset(header);
    return;
  }
  const auto found = channels_.find(key);
  if (found == channels_.end()) {
    if (header.op == Op::kRequest) {
      on_request(header);
    } else if (!is_reset) {
      reply_reset(header);
    }
    return;
  }
  const Handle channel = found->second;
  if (channel->connection.closed() && header.op == Op::kRequest) {
    // The guest has forgotten the connection whose RST is still waiting, and uses the port again.
    remove(channel);
    on_request(header);
    return;
  }
  if (header.type != channel->connection.identity().type) {
    if (!is_reset) reply_reset(header);
    return;
  }
  const bool connecting = channel->connection.connecting();
  const Connection::Effects effects = channel->connection.on_packet(header);
  if (connecting && effects.reset_by_guest) refused_.add();
  apply(channel, effects, payload);
}

void Muxer::on_request(const PacketHeader& header) {
  Listening listening{};
  {
    const std::lock_guard lock(listeners_mutex_);
    if (const auto found = listeners_.find(header.dst_port); found != listeners_.end()) listening = found->second;
  }
  if (!listening.listener && asker_) return ask(header);
  if (!listening.listener || listening.type != header.type) {
    kLog.debug(refused_limit_, {{"port", header.dst_port}}, "the guest connects to a port that nobody listens on");
    return reply_reset(header);
  }
  auto pair = make_pair(header.type);
  if (!pair) {
    kLog.warning(refused_limit_, {{"port", header.dst_port}}, "the guest's connection is refused: {}", pair.error().message);
    return reply_reset(header);
  }
  if (accept(header, std::move((*pair)[0]))) (*listening.listener)(std::move((*pair)[1]));
}

std::optional<Muxer::Handle> Muxer::accept(const PacketHeader& request, UniqueFd socket) {
  if (!full()) {
    const Connection::Identity identity{guest_cid_, request.src_port, request.dst_port, request.type};
    auto channel = add(Connection::accept(identity, request, buffer_bytes(request.type)), std::move(socket));
    if (channel) {
      opened(*channel);
      settle(*channel);
      return *channel;
    }
  }
  kLog.warning(refused_limit_, {{"port", request.dst_port}},
               "the guest's connection is refused: there are too many, or no descriptors left");
  reply_reset(request);
  return std::nullopt;
}

void Muxer::ask(const PacketHeader& header) {
  if (full()) return reply_reset(header);
  const uint32_t id = next_question_++;
  const auto timer = loop_->schedule(limits_.answer_timeout, [this, id] { on_answer(id, UniqueFd()); });
  waiting_.emplace(id, Waiting{.request = header, .timer = timer});
  questions_[key_of(header.dst_port, header.src_port)] = id;
  asker_({.id = id, .port = header.dst_port, .type = header.type});
}

void Muxer::forget_question(uint32_t id) {
  const auto node = waiting_.extract(id);
  if (!node) return;
  loop_->cancel(node.mapped().timer);
  questions_.erase(key_of(node.mapped().request.dst_port, node.mapped().request.src_port));
}

void Muxer::on_answer(uint32_t id, UniqueFd socket) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const PacketHeader request = found->second.request;
  forget_question(id);
  if (socket.valid()) {
    accept(request, std::move(socket));
  } else {
    reply_reset(request);
  }
  on_output_();
}

void Muxer::apply(Handle channel, const Connection::Effects& effects, std::span<const iovec> payload) {
  bytes_from_guest_.add(effects.payload);
  // An empty packet may be the end of a message.
  if (effects.payload > 0 || effects.end_of_message) on_sent(channel, channel->backend->send(payload, effects.end_of_message));
  if (effects.established) {
    opened(channel);
    if (channel->timer) loop_->cancel(*std::exchange(channel->timer, std::nullopt));
    auto watched = channel->backend->watch(*loop_, [this, channel](uint32_t events) { on_socket(channel, events); });
    if (!watched) channel->connection.abort();
    if (channel->announce) greet(channel);
  }
  if (effects.stop_sending) channel->backend->shutdown_reading();
  if (effects.end_of_stream) {
    channel->guest_ended = true;
    on_sent(channel, channel->backend->drop_unfinished());
  }
  if (effects.reset_by_guest) leave_to_host(channel);
  settle(channel);
}

// The hybrid protocol's line is the first that the client reads. A socket without room for that is no new one.
void Muxer::greet(Handle channel) {
  std::string line = fmt::format("OK {}\n", channel->connection.identity().host_port);
  const iovec part{line.data(), line.size()};
  const Backend::Sent sent = channel->backend->send(std::span(&part, 1));
  if (sent.broken || sent.taken != line.size()) channel->connection.abort();
}

size_t Muxer::produce(std::span<RxSlot> slots) {
  size_t used = 0;
  while (used < slots.size()) {
    if (!replies_.empty()) {
      slots[used].header = replies_.front();
      replies_.pop_front();
      offer_to_tap(slots[used++].header, {});
      continue;
    }
    if (ready_.empty()) break;
    const Handle channel = ready_.begin();
    if (channel->connection.has_control()) {
      slots[used].header = channel->connection.make_control();
      offer_to_tap(slots[used++].header, {});
    } else {
      used += produce_data(channel, slots.subspan(used));
      // To the end of the queue: the others come first now.
      ready_.splice(ready_.end(), ready_, channel);
    }
    settle(channel);
  }
  return used;
}

size_t Muxer::produce_data(Handle channel, std::span<RxSlot> slots) {
  Connection& connection = channel->connection;
  const uint32_t window = std::min(connection.send_window(), kTurnBytes);
  // One read over as many packets' buffers as the window allows.
  scatter_.clear();
  uint32_t planned = 0;
  for (const RxSlot& slot : slots) {
    if (planned == window || scatter_.size() >= kMaxIovecs) break;
    uint32_t left = std::min({slot.capacity, kMaxPayload, window - planned});
    planned += left;
    for (const iovec& part : slot.payload) {
      if (left == 0) break;
      const auto bytes = static_cast<uint32_t>(std::min<size_t>(part.iov_len, left));
      scatter_.push_back({part.iov_base, bytes});
      left -= bytes;
    }
  }
  const Backend::Received received =
      channel->backend->receive(scatter_, {overflow_.get(), connection.seqpacket() ? longest_message_ : 0},
                                std::min(connection.longest_message(), longest_message_));
  using Kind = Backend::Received::Kind;
  if (received.kind != Kind::kData) channel->readable = false;
  if (received.kind == Kind::kEndOfStream) {
    channel->host_ended = true;
    connection.on_host_end_of_stream();
    if (channel->backend->hung_up()) connection.on_host_stopped_reading();
  }
  if (received.kind == Kind::kBroken) connection.abort();
  if (received.kind != Kind::kData) return 0;
  bytes_to_guest_.add(received.bytes);

  size_t used = 0;
  for (size_t left = received.bytes; left > 0; ++used) {
    RxSlot& slot = slots[used];
    const auto bytes = static_cast<uint32_t>(std::min<size_t>({left, slot.capacity, kMaxPayload}));
    left -= bytes;
    slot.header = connection.make_data(bytes, left == 0 && received.end_of_message);
    offer_to_tap(slot.header, slot.payload);
  }
  return used;
}

}  // namespace adyton::vmm::vsock
