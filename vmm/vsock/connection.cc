#include "vmm/vsock/connection.h"

#include <algorithm>

namespace adyton::vmm::vsock {

Connection Connection::accept(const Identity& identity, const PacketHeader& request, uint32_t buf_alloc) {
  Connection connection(identity, buf_alloc);
  connection.state_ = State::kEstablished;
  connection.response_pending_ = true;
  connection.peer_buf_alloc_ = request.buf_alloc;
  connection.peer_fwd_cnt_ = request.fwd_cnt;
  return connection;
}

Connection Connection::initiate(const Identity& identity, uint32_t buf_alloc) {
  Connection connection(identity, buf_alloc);
  connection.request_pending_ = true;
  return connection;
}

void Connection::abort() {
  if (closed()) return;
  // A peer that never heard of the connection needs no RST.
  rst_pending_ = !request_pending_;
  state_ = State::kClosed;
}

Connection::Effects Connection::violate() {
  abort();
  return {.aborted = true};
}

Connection::Effects Connection::on_packet(const PacketHeader& packet) {
  if (closed()) return {};
  if (packet.op == Op::kRst) {
    state_ = State::kClosed;
    return {.reset_by_guest = true};
  }
  const uint32_t window_before = send_window();
  peer_buf_alloc_ = packet.buf_alloc;
  peer_fwd_cnt_ = packet.fwd_cnt;
  if (state_ == State::kConnecting) {
    if (packet.op != Op::kResponse || request_pending_) return violate();
    state_ = State::kEstablished;
    return {.established = true};
  }
  if (send_window() > window_before) credit_requested_ = credit_request_pending_ = false;
  switch (packet.op) {
    case Op::kRw: return on_data(packet);
    case Op::kShutdown: return on_shutdown(packet.flags);
    case Op::kCreditUpdate: return {};
    case Op::kCreditRequest: credit_update_requested_ = true; return {};
    default: return violate();
  }
}

Connection::Effects Connection::on_data(const PacketHeader& packet) {
  const uint32_t bytes = packet.len;
  if (guest_shutdown_ & kShutdownSend) return violate();
  if (bytes > buf_alloc_ - undrained()) return violate();
  rx_cnt_ += bytes;
  if (host_shutdown_ & kShutdownReceive) {
    on_drained(bytes);
    return {};
  }
  return {.payload = bytes, .end_of_message = seqpacket() && (packet.flags & kEndOfMessage) != 0};
}

Connection::Effects Connection::on_shutdown(uint32_t flags) {
  const uint32_t added = flags & kShutdownBoth & ~guest_shutdown_;
  guest_shutdown_ |= added;
  close_when_drained();
  return {.stop_sending = (added & kShutdownReceive) != 0, .end_of_stream = (added & kShutdownSend) != 0};
}

void Connection::close_when_drained() {
  // Section 5.10.6.5: a SHUTDOWN of both directions is confirmed by a RST, here once the host has everything.
  if (!closed() && guest_shutdown_ == kShutdownBoth && undrained() == 0) {
    state_ = State::kClosed;
    rst_pending_ = true;
  }
}

void Connection::on_drained(uint32_t bytes) {
  fwd_cnt_ += std::min(bytes, undrained());
  close_when_drained();
}

void Connection::on_host_end_of_stream() {
  if (closed() || (host_shutdown_ & kShutdownSend)) return;
  host_shutdown_ |= kShutdownSend;
  shutdown_pending_ = true;
  credit_request_pending_ = false;
}

void Connection::on_host_stopped_reading() {
  if (closed() || (host_shutdown_ & kShutdownReceive)) return;
  host_shutdown_ |= kShutdownReceive;
  shutdown_pending_ = true;
}

uint32_t Connection::send_window() const {
  if (state_ != State::kEstablished || response_pending_) return 0;
  if ((guest_shutdown_ & kShutdownReceive) || (host_shutdown_ & kShutdownSend)) return 0;
  // Counters wrap; a guest that shrinks its buffer, or lies, can make this negative.
  const uint32_t under_way = tx_cnt_ - peer_fwd_cnt_;
  return under_way < peer_buf_alloc_ ? peer_buf_alloc_ - under_way : 0;
}

void Connection::on_window_shut() {
  if (state_ != State::kEstablished || response_pending_ || credit_requested_) return;
  if ((guest_shutdown_ & kShutdownReceive) || (host_shutdown_ & kShutdownSend)) return;
  credit_requested_ = credit_request_pending_ = true;
}

bool Connection::credit_update_due() const {
  if (state_ != State::kEstablished || (guest_shutdown_ & kShutdownSend)) return false;
  if (credit_update_requested_) return true;
  // Rarely enough to cost little, early enough that a guest which keeps sending never stands still: when it believes that less
  // than half of the buffer is free although more is.
  const uint32_t used_as_known = rx_cnt_ - advertised_fwd_cnt_;
  return fwd_cnt_ != advertised_fwd_cnt_ && used_as_known > buf_alloc_ / 2;
}

bool Connection::has_control() const {
  if (closed()) return rst_pending_;
  if (request_pending_ || response_pending_) return true;
  if (state_ == State::kConnecting) return false;
  return shutdown_pending_ || credit_request_pending_ || credit_update_due();
}

PacketHeader Connection::make(Op op) {
  PacketHeader packet;
  packet.src_cid = kHostCid;
  packet.dst_cid = identity_.guest_cid;
  packet.src_port = identity_.host_port;
  packet.dst_port = identity_.guest_port;
  packet.type = identity_.type;
  packet.op = op;
  packet.buf_alloc = buf_alloc_;
  packet.fwd_cnt = fwd_cnt_;
  advertised_fwd_cnt_ = fwd_cnt_;
  credit_update_requested_ = false;  // every packet carries the credit
  return packet;
}

PacketHeader Connection::make_control() {
  if (closed()) {
    rst_pending_ = false;
    return make(Op::kRst);
  }
  if (request_pending_) {
    request_pending_ = false;
    return make(Op::kRequest);
  }
  if (response_pending_) {
    response_pending_ = false;
    return make(Op::kResponse);
  }
  if (shutdown_pending_) {
    shutdown_pending_ = false;
    PacketHeader packet = make(Op::kShutdown);
    packet.flags = host_shutdown_;
    return packet;
  }
  if (credit_request_pending_) {
    credit_request_pending_ = false;
    return make(Op::kCreditRequest);
  }
  return make(Op::kCreditUpdate);
}

PacketHeader Connection::make_data(uint32_t bytes, bool end_of_message) {
  tx_cnt_ += bytes;
  PacketHeader packet = make(Op::kRw);
  packet.len = bytes;
  if (end_of_message) packet.flags = kEndOfMessage;
  return packet;
}

}  // namespace adyton::vmm::vsock
