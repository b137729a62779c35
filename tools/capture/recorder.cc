#include "tools/capture/recorder.h"

#include <fmt/format.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace adyton::capture {
namespace {

// Packets of one virtual machine before it is another's turn.
constexpr size_t kTurn = 256;
// What several virtual machines record is this late in their rings at most, unless the host is very busy.
constexpr int kSettleMilliseconds = 1;
constexpr uint64_t kSettle = uint64_t{kSettleMilliseconds} * 1'000'000;  // nanoseconds
// After the last packet we look again this often without being woken, so that a stream of packets costs the VM few wakes; and
// what has come is written after that time at the latest.
constexpr int kLingerMilliseconds = 5;

uint64_t wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

uint32_t payload_limit(uint32_t snaplen) { return snaplen > kHeadersSize ? snaplen - kHeadersSize : 0; }

void Recorder::add(Source source) {
  const auto number = static_cast<uint32_t>(inputs_.size());
  inputs_.emplace_back(std::move(source)).number = number;
}

uint64_t Recorder::received() const {
  uint64_t sum = 0;
  for (const Input& input : inputs_) sum += input.interface.received;
  return sum;
}

uint64_t Recorder::dropped() const {
  uint64_t sum = 0;
  for (const Input& input : inputs_) sum += input.interface.dropped;
  return sum;
}

void Recorder::fetch(Input& input) {
  if (input.ended || input.held) return;
  auto record = input.reader.next();
  auto packet = Result<Packet>(Packet{});
  if (record && *record) packet = read_packet(**record);
  if (!record || !packet) {
    warnings_.push_back(fmt::format("{}: {}", input.interface.name, (record ? packet.error() : record.error()).message));
    input.ended = true;
    return;
  }
  if (!*record) return;
  input.held = {.packet = *packet, .lost = (*record)->lost, .time = packet->time};
  if (inputs_.size() > 1) input.held->time = std::min(packet->time, wall_clock());
}

// Writes packets whose turn is not after `until`. False: there were none.
Result<bool> Recorder::drain(size_t most, uint64_t until) {
  for (Input& input : inputs_) fetch(input);
  bool any = false;
  for (size_t i = 0; i < most && left_ != 0 && !output_.ended(); ++i) {
    Input* next = nullptr;
    for (Input& input : inputs_) {
      if (input.held && (!next || input.held->time < next->held->time)) next = &input;
    }
    if (!next || next->held->time > until) break;
    any = true;
    const Input::Held& held = *next->held;
    ++next->interface.received;
    TRY(writer_.packet(next->number, held.packet, held.lost, next->connections.comment(held.packet, held.lost)));
    if (left_) --*left_;
    next->held.reset();
    // Others that have come since then are later than `until`.
    fetch(*next);
  }
  return any;
}

Result<EndReason> Recorder::run(std::optional<uint64_t> count) {
  left_ = count;
  for (Input& input : inputs_) {
    input.interface.started = wall_clock();
    TRY(writer_.add_interface(input.interface));
  }
  // A reader of a pipe wants to know the interfaces before there are packets.
  TRY(writer_.flush());
  std::optional<EndReason> reason;
  while (!reason) {
    const bool any = TRY(drain(kTurn * inputs_.size(), inputs_.size() > 1 ? wall_clock() - kSettle : UINT64_MAX));
    if (output_.ended()) {
      reason = EndReason::kReaderGone;
    } else if (left_ == 0) {
      reason = EndReason::kCount;
    } else if (std::ranges::all_of(inputs_, [](const Input& input) { return input.ended; })) {
      reason = EndReason::kSourcesEnded;
    } else if (any) {
      busy_ = true;
      // An interrupt counts also while packets come and come.
      pollfd interrupt{.fd = interrupt_, .events = POLLIN, .revents = 0};
      if (::poll(&interrupt, 1, 0) == 1) reason = EndReason::kInterrupted;
    } else {
      reason = TRY(wait());
    }
  }
  TRY(finish());
  return *reason;
}

Result<std::optional<EndReason>> Recorder::wait() {
  std::vector<pollfd> watched = {{.fd = interrupt_, .events = POLLIN, .revents = 0},
                                 {.fd = output_.fd(), .events = 0, .revents = 0}};
  bool sleep = true;
  for (Input& input : inputs_) {
    // What a virtual machine left when it went has been read: that was all.
    if (input.writer_gone && !input.held) input.ended = true;
    if (!input.ended && !input.reader.arm(busy_ ? input.source.ring.capacity() / 4 : 1)) sleep = false;
    watched.push_back({.fd = input.ended || input.writer_gone ? -1 : input.source.wake.get(), .events = POLLIN, .revents = 0});
  }
  if (!busy_) TRY(writer_.flush());
  if (std::ranges::all_of(inputs_, [](const Input& input) { return input.ended; })) return std::nullopt;
  // What is held waits for others.
  const bool held = std::ranges::any_of(inputs_, [](const Input& input) { return input.held.has_value(); });
  const int timeout = held ? kSettleMilliseconds : !sleep ? 0 : busy_ ? kLingerMilliseconds : -1;
  const int ready = ::poll(watched.data(), watched.size(), timeout);
  if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for packets");
  busy_ = ready > 0 || held;
  if (ready <= 0) return std::nullopt;
  if (watched[0].revents != 0) return EndReason::kInterrupted;
  if (watched[1].revents != 0) return EndReason::kReaderGone;
  size_t i = 2;
  for (Input& input : inputs_) {
    if (watched[i++].revents != 0 && !observe::drain_wakes(input.source.wake.get())) input.writer_gone = true;
  }
  return std::nullopt;
}

// What is in the rings still is part of the capture; then the totals.
Result<void> Recorder::finish() {
  size_t most = 0;
  for (const Input& input : inputs_) most += input.source.ring.capacity() / 64;
  TRY(drain(most, UINT64_MAX));
  for (Input& input : inputs_) {
    input.source.wake.reset();
    input.interface.ended = wall_clock();
    input.interface.dropped = input.reader.dropped();
    TRY(writer_.statistics(input.number, input.interface));
  }
  return writer_.flush();
}

}  // namespace adyton::capture
