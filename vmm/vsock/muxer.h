// All vsock connections of one guest: routes its packets to connections, connections' bytes to host sockets, and back.
//
// Host side: listen() names a port that the guest may connect to; every such connection arrives as a connected Unix socket.
// connect() opens a connection to a port of the guest and returns its socket at once; a guest that refuses closes it. Half-close
// (shutdown) passes through in both directions. A port without a listener can be asked for: see set_asker().
//
// Types: stream connections are SOCK_STREAM sockets, seqpacket ones SOCK_SEQPACKET, with messages of up to longest_message()
// bytes: a guest that tries more gets EMSGSIZE, and so does the host's program. Messages whose length is 0 and MSG_EOR do not
// cross. Both types share the ports, as in Linux.
//
// Fairness: connections with something to send take turns, each with kTurnBytes.
//
// Bounds: max_connections connections, each with at most buffer_bytes of buffered payload to the host and one message to the
// guest; max_waiting requests that wait for an answer; max_replies RSTs to nobody in particular. When either of the last two is
// full, can_take() is false and the device leaves the guest's packets where they are, until an answer or its timeout: the
// deadlock rule of section 5.10.6.3 within bounded memory. A host that stops reading stops the guest's credit; a guest that stops reading stops the host's socket.
//
// Threading: listen, unlisten, connect (after bind()), answer and set_tap from any thread; the rest on the event loop's thread,
// where listeners, the asker and the tap are called too: they must not block.
#pragma once
#include <sys/uio.h>

#include <array>
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

#include "base/log/rate_limit.h"
#include "base/result.h"
#include "base/tally.h"
#include "base/unique_fd.h"
#include "observe/trace_source.h"
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
    size_t max_waiting = 128;
    std::chrono::milliseconds connect_timeout{10'000};  // an emulated guest is slow
    std::chrono::milliseconds close_timeout{8'000};     // as Linux
    std::chrono::milliseconds answer_timeout{2'000};    // for who was asked; Linux guests wait 2 s for a connection
  };
  using Listener = std::function<void(UniqueFd)>;
  // The guest wants a connection to a port that nobody listens on. answer() with the same id says what becomes of it.
  struct Question {
    uint32_t id = 0;
    uint32_t port = 0;
    PacketType type = PacketType::kStream;
  };
  using Asker = std::function<void(const Question&)>;
  // Since the muxer was made, whatever resets there were.
  struct Statistics {
    uint64_t connections = 0;       // now, of those opened
    uint64_t opened = 0;            // accepted by the other side, whichever asked
    uint64_t refused = 0;           // a RST was the answer to a REQUEST, of either side
    uint64_t bytes_from_guest = 0;  // payload that the host's side could take
    uint64_t bytes_to_guest = 0;    // payload
  };
  // What one connection may send before it is another's turn.
  static constexpr uint32_t kTurnBytes = 256 * 1024;
  // Sees every packet in both directions; the header's source tells which. The guest may still be changing the payload of its
  // packets.
  using Tap = std::function<void(const PacketHeader& header, std::span<const iovec> payload)>;

  Muxer(uint64_t guest_cid, const Limits& limits) : guest_cid_(guest_cid), limits_(limits) {}
  ~Muxer() { reset(); }
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  // Before anything else. `on_output` is called, on the loop's thread, when has_output() may have become true outside of a call
  // from the device.
  void bind(virtio::EventLoop& loop, observe::TraceSource& trace, std::function<void()> on_output);

  // Fails with kInvalidArgument when the port has a listener already.
  Result<void> listen(uint32_t port, Listener listener) { return listen(port, PacketType::kStream, std::move(listener)); }
  Result<void> listen(uint32_t port, PacketType type, Listener listener);
  void unlisten(uint32_t port);
  // Fails only when the host lacks descriptors; when the guest is not there or refuses, the socket closes.
  Result<UniqueFd> connect(uint32_t guest_port, PacketType type = PacketType::kStream);
  // The same with a connected Unix stream socket of the caller's, which gets "OK <port of the host>\n" before anything else when
  // the guest accepts (docs/vsock.md).
  void connect_hybrid(uint32_t guest_port, UniqueFd socket);
  // Without an asker, which is set before the guest runs, connections to ports without a listener are refused.
  void set_asker(Asker asker) { asker_ = std::move(asker); }
  // `socket`: a connected Unix socket of the connection's type, which becomes the host's end; an invalid one refuses. An answer
  // to no question, or one that comes too late, closes the socket.
  void answer(uint32_t id, UniqueFd socket);
  // An empty tap takes the tap away.
  void set_tap(Tap tap);

  // The guest's driver is there, or has gone.
  void set_active(bool active, bool seqpacket = false);
  // Closes all connections without telling the guest. Listeners stay.
  void reset();

  [[nodiscard]] bool can_take() const {
    return replies_.size() < limits_.max_replies && waiting_.size() < limits_.max_waiting;
  }
  // `payload` has header.len bytes.
  void on_guest_packet(const PacketHeader& header, std::span<const iovec> payload);

  [[nodiscard]] bool has_output() const { return !replies_.empty() || !ready_.empty(); }
  // Fills `slots` from the front; returns how many were used. Less than all means that there is no more output.
  size_t produce(std::span<RxSlot> slots);

  [[nodiscard]] uint64_t guest_cid() const { return guest_cid_; }
  // From any thread.
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] size_t connection_count() const { return channels_.size(); }
  // Bytes of a seqpacket message.
  [[nodiscard]] uint32_t longest_message() const { return longest_message_; }

 private:
  struct Channel {
    Channel(const Connection& machine, UniqueFd socket, uint32_t capacity)
        : connection(machine), backend(std::make_unique<Backend>(std::move(socket), capacity, machine.identity().type)) {}
    Connection connection;
    std::unique_ptr<Backend> backend;
    bool readable = false;     // the host socket may have bytes, or its end
    bool host_ended = false;   // and its end was seen
    bool guest_ended = false;  // the host shall see the end of the stream once the buffer is empty
    bool queued = false;       // in ready_ rather than idle_
    bool announce = false;     // say OK in the hybrid protocol when the guest accepts
    bool opened = false;       // both sides have agreed to it: counted
    std::optional<virtio::EventLoop::TimerId> timer;
  };
  // A request of the guest that waits for answer().
  struct Waiting {
    PacketHeader request;
    virtio::EventLoop::TimerId timer;
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

  [[nodiscard]] bool full() const { return channels_.size() + orphans_.size() + waiting_.size() >= limits_.max_connections; }
  [[nodiscard]] bool knows(PacketType type) const {
    return type == PacketType::kStream || (type == PacketType::kSeqpacket && seqpacket_);
  }
  [[nodiscard]] uint32_t buffer_bytes(PacketType type) const {
    return type == PacketType::kSeqpacket ? longest_message_ : limits_.buffer_bytes;
  }
  Result<std::array<UniqueFd, 2>> make_pair(PacketType type) const;
  void start_connection(uint32_t guest_port, PacketType type, UniqueFd socket, bool announce);
  void on_request(const PacketHeader& header);
  void ask(const PacketHeader& header);
  void on_answer(uint32_t id, UniqueFd socket);
  void forget_question(uint32_t id);
  std::optional<Handle> accept(const PacketHeader& request, UniqueFd socket);
  void reply_reset(const PacketHeader& header);
  Result<Handle> add(const Connection& connection, UniqueFd socket);
  void remove(Handle channel);
  void opened(Handle channel);
  void trace(observe::TraceType type, const Connection& connection);
  void greet(Handle channel);
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
  observe::TraceSource* trace_ = nullptr;
  std::function<void()> on_output_;
  bool active_ = false;
  bool seqpacket_ = false;  // the guest's driver knows it
  uint32_t longest_message_ = 0;

  // Every channel is a node of one of the two lists and moves between them without allocation.
  ChannelList idle_;
  ChannelList ready_;
  std::unordered_map<Key, Handle> channels_;
  std::list<std::unique_ptr<Backend>> orphans_;  // reset by the guest, with bytes that the host has still to take
  std::deque<PacketHeader> replies_;
  std::map<uint32_t, Waiting> waiting_;  // by the question's id
  std::unordered_map<Key, uint32_t> questions_;
  uint32_t next_question_ = 0;
  Asker asker_;
  uint32_t next_host_port_ = kFirstHostPort;
  std::vector<iovec> scatter_;
  std::unique_ptr<uint8_t[]> overflow_;  // longest_message_ bytes, from the first seqpacket connection on
  Tap tap_;
  Tally opened_, closed_, refused_, bytes_from_guest_, bytes_to_guest_;

  log::RateLimit spoofed_limit_;
  log::RateLimit unknown_limit_;
  log::RateLimit refused_limit_;

  std::mutex listeners_mutex_;
  struct Listening {
    PacketType type;
    std::shared_ptr<Listener> listener;
  };
  std::map<uint32_t, Listening> listeners_;
};

}  // namespace adyton::vmm::vsock
