// The connection's state machine against a second one, written from virtio 1.2 section 5.10.6 with other means: unbounded
// counters and a set of what is owed, instead of wrapping fields and flags. Both go through the same random packets and host
// events, good and bad, and must agree about everything that can be seen after each.
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>
#include <vector>

#include "vmm/virtio/testing/fake_driver.h"
#include "vmm/vsock/connection.h"

#ifndef ADYTON_MODEL_ROUNDS
#define ADYTON_MODEL_ROUNDS 20'000
#endif

namespace adyton::vmm::vsock {
namespace {

constexpr uint32_t kHuge = 1u << 30;

class Model {
 public:
  enum class Phase : uint8_t { kOffering, kOffered, kAccepting, kOpen, kOver };
  // In the order in which they go out.
  enum class Owed : uint8_t { kReset, kRequest, kResponse, kShutdown, kCreditRequest, kCreditUpdate };

  struct Seen {
    uint64_t payload = 0;
    bool message_end = false, established = false, stop_sending = false, end_of_stream = false, reset = false, aborted = false;
  };

  static Model of_guest(bool seqpacket, uint32_t buffer, const PacketHeader& request) {
    Model model(seqpacket, buffer);
    model.phase = Phase::kAccepting;
    model.owed = {Owed::kResponse};
    model.learn(request);
    return model;
  }
  static Model of_host(bool seqpacket, uint32_t buffer) {
    Model model(seqpacket, buffer);
    model.owed = {Owed::kRequest};
    return model;
  }

  Seen packet(const PacketHeader& p) {
    if (phase == Phase::kOver) return {};
    if (p.op == Op::kRst) {
      end(false);
      return {.reset = true};
    }
    const uint64_t before = window();
    learn(p);
    if (phase == Phase::kOffering || phase == Phase::kOffered) {
      if (phase == Phase::kOffering || p.op != Op::kResponse) return violation();
      phase = Phase::kOpen;
      return {.established = true};
    }
    if (window() > before) {
      asked = false;
      owed.erase(Owed::kCreditRequest);
    }
    if (p.op == Op::kCreditUpdate) return {};
    if (p.op == Op::kCreditRequest) {
      update_wanted = true;
      return {};
    }
    if (p.op == Op::kShutdown) {
      Seen seen;
      if ((p.flags & 1) && guest_reads) seen.stop_sending = true;
      if ((p.flags & 2) && guest_writes) seen.end_of_stream = true;
      if (p.flags & 1) guest_reads = false;
      if (p.flags & 2) guest_writes = false;
      confirm();
      return seen;
    }
    if (p.op != Op::kRw || !guest_writes) return violation();
    if (received + p.len - taken > buffer) return violation();
    received += p.len;
    if (!host_reads) {
      take(p.len);
      return {};
    }
    return {.payload = p.len, .message_end = seqpacket && (p.flags & 1)};
  }

  void take(uint64_t bytes) {
    taken += std::min(bytes, received - taken);
    confirm();
  }
  void host_ends() {
    if (phase == Phase::kOver || !host_writes) return;
    host_writes = false;
    owed.insert(Owed::kShutdown);
    owed.erase(Owed::kCreditRequest);
  }
  void host_stops_reading() {
    if (phase == Phase::kOver || !host_reads) return;
    host_reads = false;
    owed.insert(Owed::kShutdown);
  }
  void abort() {
    if (phase != Phase::kOver) end(phase != Phase::kOffering);
  }
  void stuck() {
    if (!open() || asked || !guest_reads || !host_writes) return;
    asked = true;
    owed.insert(Owed::kCreditRequest);
  }

  [[nodiscard]] uint64_t window() const {
    if (phase != Phase::kOpen || !guest_reads || !host_writes) return 0;
    // What the guest's 32-bit counter leaves open is at most 2^32 - 1 bytes.
    const uint64_t under_way = (sent - guest_fwd) % (uint64_t{1} << 32);
    return under_way >= guest_buffer ? 0 : guest_buffer - under_way;
  }
  void data(uint64_t bytes) {
    sent += bytes;
    told = taken;
    update_wanted = false;
  }

  // What goes out next without payload.
  [[nodiscard]] std::optional<Owed> next() const {
    for (const Owed what : owed) {
      const bool possible = phase == Phase::kOver      ? what == Owed::kReset
                            : phase == Phase::kOffered ? false
                            : open()                   ? true
                                                       : what == Owed::kRequest || what == Owed::kResponse;
      if (possible) return what;
    }
    if (open() && phase != Phase::kAccepting && guest_writes) {
      // Negative when it sent more than it could know to be free.
      const int64_t believed_free = int64_t{buffer} - static_cast<int64_t>(received - told);
      if (update_wanted || (taken != told && 2 * believed_free < int64_t{buffer})) return Owed::kCreditUpdate;
    }
    return std::nullopt;
  }
  PacketHeader send(Owed what) {
    static constexpr Op kOps[] = {Op::kRst, Op::kRequest, Op::kResponse, Op::kShutdown, Op::kCreditRequest, Op::kCreditUpdate};
    PacketHeader p;
    p.op = kOps[static_cast<size_t>(what)];
    if (what == Owed::kShutdown) p.flags = (host_reads ? 0u : 1u) | (host_writes ? 0u : 2u);
    if (what == Owed::kRequest) phase = Phase::kOffered;
    if (what == Owed::kResponse) phase = Phase::kOpen;
    owed.erase(what);
    data(0);
    p.buf_alloc = buffer;
    p.fwd_cnt = static_cast<uint32_t>(taken);
    return p;
  }

  [[nodiscard]] bool over() const { return phase == Phase::kOver; }
  [[nodiscard]] bool awaits_reset() const { return !over() && !host_reads && !host_writes; }

  bool seqpacket;
  uint32_t buffer;
  Phase phase = Phase::kOffering;
  std::set<Owed> owed;
  uint64_t received = 0, taken = 0, told = 0, sent = 0;
  uint64_t guest_buffer = 0, guest_fwd = 0;
  bool guest_reads = true, guest_writes = true, host_reads = true, host_writes = true;
  bool asked = false, update_wanted = false;

 private:
  Model(bool is_seqpacket, uint32_t bytes) : seqpacket(is_seqpacket), buffer(bytes) {}
  [[nodiscard]] bool open() const { return phase == Phase::kOpen; }
  void learn(const PacketHeader& p) {
    guest_buffer = p.buf_alloc;
    guest_fwd = p.fwd_cnt;
  }
  void end(bool with_reset) {
    phase = Phase::kOver;
    owed.clear();
    if (with_reset) owed = {Owed::kReset};
  }
  Seen violation() {
    end(phase != Phase::kOffering);
    return {.aborted = true};
  }
  void confirm() {
    if (!over() && !guest_reads && !guest_writes && received == taken) end(true);
  }
};

class Pair {
 public:
  Pair(std::mt19937_64& random, uint32_t buffer) : random_(random), connection_(make(random, buffer, model_)) {}

  void step() {
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2: good_packet(); break;
      case 3:
        if (random_() % 8 == 0) any_packet();
        break;
      case 4: {
        const auto bytes = static_cast<uint32_t>(random_() % (model_->received - model_->taken + 2));
        connection_.on_drained(bytes);
        model_->take(bytes);
        break;
      }
      case 5:
        if (random_() % 16 == 0) {
          connection_.on_host_end_of_stream();
          model_->host_ends();
        }
        if (random_() % 16 == 0) {
          connection_.on_host_stopped_reading();
          model_->host_stops_reading();
        }
        if (random_() % 64 == 0) {
          connection_.abort();
          model_->abort();
        }
        break;
      case 6:
        connection_.on_window_shut();
        model_->stuck();
        break;
      case 7:
        if (const uint64_t window = model_->window()) {
          const auto bytes = static_cast<uint32_t>(1 + random_() % std::min<uint64_t>(window, 1u << 20));
          const PacketHeader p = connection_.make_data(bytes, random_() % 2);
          model_->data(bytes);
          ASSERT_EQ(p.op, Op::kRw);
          ASSERT_EQ(p.len, bytes);
          ASSERT_EQ(p.fwd_cnt, static_cast<uint32_t>(model_->taken));
        }
        break;
      default:
        if (const auto next = model_->next()) {
          ASSERT_TRUE(connection_.has_control());
          const PacketHeader ours = connection_.make_control();
          const PacketHeader theirs = model_->send(*next);
          ASSERT_EQ(ours.op, theirs.op);
          ASSERT_EQ(ours.flags, theirs.flags);
          ASSERT_EQ(ours.len, 0u);
          ASSERT_EQ(ours.buf_alloc, theirs.buf_alloc);
          ASSERT_EQ(ours.fwd_cnt, theirs.fwd_cnt);
          ASSERT_EQ(ours.type == PacketType::kSeqpacket, model_->seqpacket);
        }
    }
    compare();
  }

 private:
  static Connection make(std::mt19937_64& random, uint32_t buffer, std::optional<Model>& model) {
    const bool seqpacket = random() % 2;
    const Connection::Identity identity{5, 1234, 80, seqpacket ? PacketType::kSeqpacket : PacketType::kStream};
    if (random() % 2) {
      model = Model::of_host(seqpacket, buffer);
      return Connection::initiate(identity, buffer);
    }
    PacketHeader request;
    request.op = Op::kRequest;
    request.buf_alloc = static_cast<uint32_t>(random() % 100'000);
    model = Model::of_guest(seqpacket, buffer, request);
    return Connection::accept(identity, request, buffer);
  }

  // What a guest may send that keeps the rules.
  void good_packet() {
    PacketHeader p;
    p.buf_alloc = static_cast<uint32_t>(random_() % 4 ? model_->guest_buffer : random_() % 100'000);
    // It has taken some more of what is under way.
    const uint64_t under_way = (model_->sent - model_->guest_fwd) % (uint64_t{1} << 32);
    p.fwd_cnt = static_cast<uint32_t>(model_->guest_fwd + random_() % (under_way + 1));
    const uint64_t believed_used = model_->received - model_->told;
    const uint64_t free = believed_used < model_->buffer ? model_->buffer - believed_used : 0;
    switch (random_() % 16) {
      case 0: p.op = Op::kCreditUpdate; break;
      case 1: p.op = Op::kCreditRequest; break;
      case 2:
        p.op = random_() % 8 ? Op::kCreditUpdate : Op::kShutdown;
        p.flags = static_cast<uint32_t>(random_() % 4);
        break;
      default:
        p.op = model_->guest_writes ? Op::kRw : Op::kCreditUpdate;
        p.len = p.op == Op::kRw ? static_cast<uint32_t>(random_() % (free + 1)) : 0;
        p.flags = p.op == Op::kRw ? static_cast<uint32_t>(random_() % 4) : 0;
    }
    if (model_->phase == Model::Phase::kOffered) {
      p.op = Op::kResponse;
      p.len = p.flags = 0;
    }
    if (model_->phase != Model::Phase::kOffering) deliver(p);
  }
  void any_packet() {
    PacketHeader p;
    p.op = static_cast<Op>(random_() % 9);
    p.len = static_cast<uint32_t>(random_() % 2 || model_->buffer > kHuge ? random_() % 1000 : random_());
    p.flags = static_cast<uint32_t>(random_() % 2 ? random_() % 4 : random_());
    p.buf_alloc = static_cast<uint32_t>(random_());
    p.fwd_cnt = static_cast<uint32_t>(random_());
    deliver(p);
  }
  void deliver(const PacketHeader& p) {
    const Connection::Effects ours = connection_.on_packet(p);
    const Model::Seen theirs = model_->packet(p);
    ASSERT_EQ(ours.payload, theirs.payload);
    ASSERT_EQ(ours.end_of_message, theirs.message_end);
    ASSERT_EQ(ours.established, theirs.established);
    ASSERT_EQ(ours.stop_sending, theirs.stop_sending);
    ASSERT_EQ(ours.end_of_stream, theirs.end_of_stream);
    ASSERT_EQ(ours.reset_by_guest, theirs.reset);
    ASSERT_EQ(ours.aborted, theirs.aborted);
  }
  void compare() {
    ASSERT_EQ(connection_.send_window(), model_->window());
    ASSERT_EQ(connection_.undrained(), model_->received - model_->taken);
    ASSERT_LE(connection_.undrained(), model_->buffer);
    ASSERT_EQ(connection_.closed(), model_->over());
    ASSERT_EQ(connection_.finished(), model_->over() && model_->owed.empty());
    ASSERT_EQ(connection_.awaiting_reset(), model_->awaits_reset());
    ASSERT_EQ(connection_.has_control(), model_->next().has_value());
  }

  std::mt19937_64& random_;
  std::optional<Model> model_;
  Connection connection_;
};

TEST(VsockModel, TheStateMachineAgreesWithTheReference) {
  const uint64_t seed = virtio::testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < ADYTON_MODEL_ROUNDS; ++round) {
    // Large buffers and long rounds let the counters wrap.
    const bool wraps = round % 1000 == 0;
    const auto buffer = static_cast<uint32_t>(wraps ? 2 * kHuge : 1 + random() % (round % 2 ? 100'000 : 4));
    Pair pair(random, buffer);
    for (int step = 0; step < (wraps ? 2000 : 200); ++step) {
      pair.step();
      if (::testing::Test::HasFatalFailure()) {
        ADD_FAILURE() << "round " << round << ", step " << step;
        return;
      }
    }
  }
}

}  // namespace
}  // namespace adyton::vmm::vsock
