// All vsock connections of one guest: routes its packets to connections, connections' bytes to host sockets, and back.
//
// Host side: listen() names a port that the guest may connect to; every such connection arrives as a stream socket. connect()
// opens a connection to a port of the guest and returns its socket at once; a guest that refuses closes it. Half-close (shutdown)
// passes through in both directions.
//
// Bounds: max_connections connections, each with at most buffer_bytes of buffered payload; max_replies RSTs to nobody in
// particular. When the replies are full, can_take() is false and the device leaves the guest's packets where they are: the
// deadlock rule of section 5.10.6.3 within bounded memory. A host that stops reading stops the guest's credit; a guest that stops
// reading stops the host's socket.
//
// Threading: listen, unlisten, connect (after bind()) and set_tap from any thread; the rest on the event loop's thread, where
// listeners and the tap are called too: they must not block.
#pragma once
#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/virtio/event_loop.h"
#include "vmm/vsock/backend.h"
#include "vmm/vsock/connection.h"
#include "vmm/vsock/packet.h"

namespace adyton::vmm::vsock {

// Room for one packet to the guest.
struct RxSlot {
  std::vector<iovec> payload;  // for the bytes after the header
  uint32_t capacity = 0;       // bytes in `payload`, at least 1
  PacketHeader header;         // filled in by produce(); header.len bytes of payload were written
};

class Muxer {
 public:
  struct Limits {
    size_t max_connections = 4096;
    uint32_t buffer_bytes = 256 * 1024;
    size_t max_replies = 1024;
    std::chrono::milliseconds connect_timeout{10'000};  // an emulated guest is slow
    std::chrono::milliseconds close_timeout{8'000};     // as Linux
  };
  using Listener = std::function<void(UniqueFd)>;
  // Sees every packet in both directions; the header's source tells which. The guest may still be changing the payload of its
  // packets.
  using Tap = std::function<void(const PacketHeader& header, std::span<const iovec> payload)>;

  Muxer(uint64_t guest_cid, const Limits& limits) : guest_cid_(guest_cid), limits_(limits) {}
  ~Muxer() { reset(); }
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  // Before anything else. `on_output` is called, on the loop's thread, when has_output() may have become true outside of a call
  // from the device.
  void bind(virtio::EventLoop& loop, std::function<void()> on_output);

  // Fails with kInvalidArgument when the port has a listener already.
  Result<void> listen(uint32_t port, Listener listener);
  void unlisten(uint32_t port);
  // Fails only when the host lacks descriptors; when the guest is not there or refuses, the socket closes.
  Result<UniqueFd> connect(uint32_t guest_port);
  // An empty tap takes the tap away.
  void set_tap(Tap tap);

  // The guest's driver is there, or has gone.
  void set_active(bool active);
  // Closes all connections without telling the guest. Listeners stay.
  void reset();

  [[nodiscard]] bool can_take() const { return replies_.size() < limits_.max_replies; }
  // `payload` has header.len bytes.
  void on_guest_packet(const PacketHeader& header, std::span<const iovec> payload);

  [[nodiscard]] bool has_output() const { return !replies_.empty() || !ready_.empty(); }
  // Fills `slots` from the front; returns how many were used. Less than all means that there is no more output.
  size_t produce(std::span<RxSlot> slots);

  [[nodiscard]] uint64_t guest_cid() const { return guest_cid_; }
  [[nodiscard]] size_t connection_count() const { return channels_.size(); }

 private:
  struct Channel {
    Channel(const Connection& machine, UniqueFd socket, uint32_t capacity)
        : connection(machine), backend(std::make_unique<Backend>(std::move(socket), capacity)) {}
    Connection connection;
    std::unique_ptr<Backend> backend;
    bool readable = false;     // the host socket may have bytes, or its end
    bool host_ended = false;   // and its end was seen
    bool guest_ended = false;  // the host shall see the end of the stream once the buffer is empty
    bool queued = false;       // in ready_ rather than idle_
    std::optional<virtio::EventLoop::TimerId> timer;
  };
  using ChannelList = std::list<Channel>;
  using Handle = ChannelList::iterator;
  using Key = uint64_t;  // host port, guest port
  // Where other hosts of guests begin too: beyond what services listen on.
  static constexpr uint32_t kFirstHostPort = 0x40000000;

  static Key key_of(uint32_t host_port, uint32_t guest_port) { return uint64_t{host_port} << 32 | guest_port; }
  static Key key_of(const Connection& connection) {
    return key_of(connection.identity().host_port, connection.identity().guest_port);
  }

  [[nodiscard]] bool full() const { return channels_.size() + orphans_.size() >= limits_.max_connections; }
  void start_connection(uint32_t guest_port, UniqueFd socket);
  void on_request(const PacketHeader& header);
  void reply_reset(const PacketHeader& header);
  Result<Handle> add(const Connection& connection, UniqueFd socket);
  void remove(Handle channel);
  void apply(Handle channel, const Connection::Effects& effects, std::span<const iovec> payload);
  void on_socket(Handle channel, uint32_t events);
  void on_sent(Handle channel, const Backend::Sent& sent);
  void leave_to_host(Handle channel);
  // After anything that changed the channel: queues it if it has something to send, arms its timer, removes it when it is over.
  void settle(Handle channel);
  void set_timer(Handle channel, std::chrono::milliseconds delay);
  void enqueue(Handle channel);
  void dequeue(Handle channel);
  [[nodiscard]] bool wants_to_send(const Channel& channel) const;
  size_t produce_data(Handle channel, std::span<RxSlot> slots);
  std::optional<uint32_t> pick_host_port(uint32_t guest_port);
  void offer_to_tap(const PacketHeader& header, std::span<const iovec> payload) {
    if (tap_) tap_(header, payload);
  }

  const uint64_t guest_cid_;
  const Limits limits_;
  virtio::EventLoop* loop_ = nullptr;
  std::function<void()> on_output_;
  bool active_ = false;

  // Every channel is a node of one of the two lists and moves between them without allocation.
  ChannelList idle_;
  ChannelList ready_;
  std::unordered_map<Key, Handle> channels_;
  std::list<std::unique_ptr<Backend>> orphans_;  // reset by the guest, with bytes that the host has still to take
  std::deque<PacketHeader> replies_;
  uint32_t next_host_port_ = kFirstHostPort;
  std::vector<iovec> scatter_;
  Tap tap_;

  std::mutex listeners_mutex_;
  std::map<uint32_t, std::shared_ptr<Listener>> listeners_;
};

}  // namespace adyton::vmm::vsock
