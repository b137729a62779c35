// One vsock connection, stream or seqpacket, seen from the host: a pure state machine (virtio 1.2 section 5.10.6). It owns no
// socket, no buffer and no clock; the muxer feeds it packets and host events and asks it what to send.
//
// Credit (section 5.10.6.3) is exact in both directions. Guest to host: the guest may have `buf_alloc` bytes under way that the
// host has not taken yet; one byte more and the connection is reset, so a buffer of buf_alloc bytes always suffices. Host to
// guest: send_window() never exceeds what the guest's last packet allows. Payload bytes count, of both types alike.
//
// A seqpacket message (section 5.10.6.6.1) is one or more packets, of which the last says so. MSG_EOR of a guest is not passed
// on: Unix sockets do not carry it.
#pragma once
#include <cstdint>

#include "vmm/vsock/packet.h"

namespace adyton::vmm::vsock {

class Connection {
 public:
  struct Identity {
    uint64_t guest_cid = 0;
    uint32_t guest_port = 0;
    uint32_t host_port = 0;
    PacketType type = PacketType::kStream;
  };

  // What the muxer has to do after a packet.
  struct Effects {
    uint32_t payload = 0;         // hand this many payload bytes to the host; then on_drained() as it takes them
    bool end_of_message = false;  // seqpacket: the payload is the last of its message
    bool established = false;     // the guest accepted: the host's data may flow
    bool stop_sending = false;    // the guest will not receive any more: what the host writes has no destination
    bool end_of_stream = false;   // the guest will not send any more: once all is drained, tell the host
    bool reset_by_guest = false;  // the connection is over; what was received before is still the host's
    bool aborted = false;         // the guest broke the protocol: a RST is pending
  };

  // The guest's REQUEST is answered with a RESPONSE.
  static Connection accept(const Identity& identity, const PacketHeader& request, uint32_t buf_alloc);
  // A REQUEST will be sent to the guest.
  static Connection initiate(const Identity& identity, uint32_t buf_alloc);

  Effects on_packet(const PacketHeader& packet);

  // The host took `bytes` of the payload.
  void on_drained(uint32_t bytes);
  // The host will not send any more: all that it sent before has been packed into packets.
  void on_host_end_of_stream();
  // The host will not take any more: payload from now on is dropped; the caller counts what it buffered as drained.
  void on_host_stopped_reading();
  // Ends the connection with a RST.
  void abort();

  // Payload bytes that the guest has room for now; 0 when data may not be sent at all.
  [[nodiscard]] uint32_t send_window() const;
  // The host has data but the window is shut: asks the guest for credit, once per standstill.
  void on_window_shut();
  // A header for `bytes` of payload, at most send_window().
  PacketHeader make_data(uint32_t bytes, bool end_of_message = false);
  // The longest message that the guest can ever take: its reader gets whole ones.
  [[nodiscard]] uint32_t longest_message() const { return peer_buf_alloc_; }

  // Packets without payload, which go before data. make_control() needs has_control().
  [[nodiscard]] bool has_control() const;
  PacketHeader make_control();

  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] bool seqpacket() const { return identity_.type == PacketType::kSeqpacket; }
  [[nodiscard]] bool connecting() const { return state_ == State::kConnecting; }
  // No packet of the guest has an effect any more. finished(): and nothing is left to send.
  [[nodiscard]] bool closed() const { return state_ == State::kClosed; }
  [[nodiscard]] bool finished() const { return closed() && !rst_pending_; }
  // Both directions were shut by the host: the guest owes a RST (section 5.10.6.5), for which the muxer waits a limited time.
  [[nodiscard]] bool awaiting_reset() const { return !closed() && host_shutdown_ == kShutdownBoth; }
  // Received payload that the host has not taken.
  [[nodiscard]] uint32_t undrained() const { return rx_cnt_ - fwd_cnt_; }

 private:
  enum class State : uint8_t { kConnecting, kEstablished, kClosed };

  Connection(const Identity& identity, uint32_t buf_alloc) : identity_(identity), buf_alloc_(buf_alloc) {}
  PacketHeader make(Op op);
  Effects violate();
  Effects on_data(const PacketHeader& packet);
  Effects on_shutdown(uint32_t flags);
  void close_when_drained();
  [[nodiscard]] bool credit_update_due() const;

  Identity identity_;
  State state_ = State::kConnecting;

  // Guest to host.
  uint32_t buf_alloc_;
  uint32_t rx_cnt_ = 0;              // payload bytes received
  uint32_t fwd_cnt_ = 0;             // of these, taken by the host
  uint32_t advertised_fwd_cnt_ = 0;  // fwd_cnt as the guest knows it

  // Host to guest.
  uint32_t tx_cnt_ = 0;
  uint32_t peer_buf_alloc_ = 0;
  uint32_t peer_fwd_cnt_ = 0;

  uint32_t guest_shutdown_ = 0;  // kShutdown* that the guest sent
  uint32_t host_shutdown_ = 0;   // and that apply to the host
  bool request_pending_ = false;
  bool response_pending_ = false;
  bool shutdown_pending_ = false;
  bool rst_pending_ = false;
  bool credit_update_requested_ = false;
  bool credit_request_pending_ = false;
  bool credit_requested_ = false;  // and no credit came since
};

}  // namespace adyton::vmm::vsock
