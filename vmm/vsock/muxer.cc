#include "vmm/vsock/muxer.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

namespace adyton::vmm::vsock {
namespace {

// What one connection may send before it is another's turn.
constexpr uint32_t kTurnBytes = 256 * 1024;
constexpr size_t kMaxIovecs = 1024;  // IOV_MAX

Result<std::array<UniqueFd, 2>> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("create a socket pair");
  return std::array{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

void Muxer::bind(virtio::EventLoop& loop, std::function<void()> on_output) {
  loop_ = &loop;
  on_output_ = std::move(on_output);
}

Result<void> Muxer::listen(uint32_t port, Listener listener) {
  const std::lock_guard lock(listeners_mutex_);
  if (!listeners_.emplace(port, std::make_shared<Listener>(std::move(listener))).second) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("vsock port {} has a listener already", port));
  }
  return {};
}

void Muxer::unlisten(uint32_t port) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.erase(port);
}

Result<UniqueFd> Muxer::connect(uint32_t guest_port) {
  if (!loop_) return fail(ErrorCode::kUnavailable, "the vsock device is not attached yet");
  auto [ours, theirs] = TRY(make_socket_pair());
  // A std::function must be copyable.
  loop_->post([this, guest_port, socket = std::make_shared<UniqueFd>(std::move(ours))] {
    start_connection(guest_port, std::move(*socket));
  });
  return std::move(theirs);
}

void Muxer::set_tap(Tap tap) {
  if (!loop_) {
    tap_ = std::move(tap);
    return;
  }
  loop_->run_sync([this, &tap] { tap_ = std::move(tap); });
}

void Muxer::set_active(bool active) {
  active_ = active;
  if (!active) reset();
}

void Muxer::reset() {
  for (ChannelList* list : {&ready_, &idle_}) {
    while (!list->empty()) {
      leave_to_host(list->begin());
      remove(list->begin());
    }
  }
  replies_.clear();
}

void Muxer::start_connection(uint32_t guest_port, UniqueFd socket) {
  if (!active_ || full()) return;
  const auto host_port = pick_host_port(guest_port);
  if (!host_port) return;
  auto channel = add(Connection::initiate({guest_cid_, guest_port, *host_port}, limits_.buffer_bytes), std::move(socket));
  if (!channel) return;
  set_timer(*channel, limits_.connect_timeout);
  settle(*channel);
  on_output_();
}

std::optional<uint32_t> Muxer::pick_host_port(uint32_t guest_port) {
  for (size_t tries = 0; tries <= limits_.max_connections; ++tries) {
    const uint32_t port = next_host_port_;
    next_host_port_ = port < 0xfffffffe ? port + 1 : kFirstHostPort;
    if (!channels_.contains(key_of(port, guest_port))) return port;
  }
  return std::nullopt;
}

Result<Muxer::Handle> Muxer::add(const Connection& connection, UniqueFd socket) {
  idle_.emplace_back(connection, std::move(socket), limits_.buffer_bytes);
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
  channels_.erase(key_of(channel->connection));
  (channel->queued ? ready_ : idle_).erase(channel);
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
  return channel.connection.has_control() || (channel.readable && !channel.host_ended && channel.connection.send_window() > 0);
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
  } else if (channel->readable && !channel->host_ended && connection.send_window() == 0) {
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
  if (channel->backend->buffered() == 0) return;
  orphans_.push_back(std::exchange(channel->backend, std::make_unique<Backend>(UniqueFd(), 0)));
  const auto orphan = std::prev(orphans_.end());
  auto watched = (*orphan)->watch(*loop_, [this, orphan](uint32_t events) {
    if ((*orphan)->flush().broken || (*orphan)->buffered() == 0 || (events & (EPOLLHUP | EPOLLERR))) orphans_.erase(orphan);
  });
  if (!watched) orphans_.erase(orphan);
}

void Muxer::on_sent(Handle channel, const Backend::Sent& sent) {
  channel->connection.on_drained(sent.taken);
  if (sent.broken) channel->connection.on_host_stopped_reading();
  if (channel->guest_ended && channel->backend->buffered() == 0) channel->backend->shutdown_writing();
}

void Muxer::on_socket(Handle channel, uint32_t events) {
  if (channel->backend->buffered() > 0) on_sent(channel, channel->backend->flush());
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
}

void Muxer::on_guest_packet(const PacketHeader& header, std::span<const iovec> payload) {
  offer_to_tap(header, payload);
  // A guest speaks for itself only.
  if (header.src_cid != guest_cid_) return;
  const bool is_reset = header.op == Op::kRst;
  // Section 5.10.6.4.1: an unknown type is answered with a RST. Other guests are not reachable from here.
  if (header.type != PacketType::kStream || header.dst_cid != kHostCid) {
    if (!is_reset) reply_reset(header);
    return;
  }
  const auto found = channels_.find(key_of(header.dst_port, header.src_port));
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
  apply(channel, channel->connection.on_packet(header), payload);
}

void Muxer::on_request(const PacketHeader& header) {
  std::shared_ptr<Listener> listener;
  {
    const std::lock_guard lock(listeners_mutex_);
    if (const auto found = listeners_.find(header.dst_port); found != listeners_.end()) listener = found->second;
  }
  if (!listener || full()) {
    reply_reset(header);
    return;
  }
  auto pair = make_socket_pair();
  if (!pair) {
    reply_reset(header);
    return;
  }
  auto channel = add(Connection::accept({guest_cid_, header.src_port, header.dst_port}, header, limits_.buffer_bytes),
                     std::move((*pair)[0]));
  if (!channel) {
    reply_reset(header);
    return;
  }
  settle(*channel);
  (*listener)(std::move((*pair)[1]));
}

void Muxer::apply(Handle channel, const Connection::Effects& effects, std::span<const iovec> payload) {
  if (effects.payload > 0) on_sent(channel, channel->backend->send(payload));
  if (effects.established) {
    if (channel->timer) loop_->cancel(*std::exchange(channel->timer, std::nullopt));
    auto watched = channel->backend->watch(*loop_, [this, channel](uint32_t events) { on_socket(channel, events); });
    if (!watched) channel->connection.abort();
  }
  if (effects.stop_sending) channel->backend->shutdown_reading();
  if (effects.end_of_stream) {
    channel->guest_ended = true;
    if (channel->backend->buffered() == 0) channel->backend->shutdown_writing();
  }
  if (effects.reset_by_guest) leave_to_host(channel);
  settle(channel);
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
  const Backend::Received received = channel->backend->receive(scatter_);
  using Kind = Backend::Received::Kind;
  if (received.kind != Kind::kData) channel->readable = false;
  if (received.kind == Kind::kEndOfStream) {
    channel->host_ended = true;
    connection.on_host_end_of_stream();
    if (channel->backend->hung_up()) connection.on_host_stopped_reading();
  }
  if (received.kind == Kind::kBroken) connection.abort();
  if (received.kind != Kind::kData) return 0;

  size_t used = 0;
  for (size_t left = received.bytes; left > 0; ++used) {
    RxSlot& slot = slots[used];
    const auto bytes = static_cast<uint32_t>(std::min<size_t>({left, slot.capacity, kMaxPayload}));
    slot.header = connection.make_data(bytes);
    offer_to_tap(slot.header, slot.payload);
    left -= bytes;
  }
  return used;
}

}  // namespace adyton::vmm::vsock
