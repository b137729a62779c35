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

void Recorder::add(Source source) { inputs_.emplace_back(std::move(source)); }

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

// Whether there was anything.
Result<bool> Recorder::drain(Input& input, uint32_t number, size_t most) {
  bool any = false;
  for (size_t i = 0; i < most && left_ != 0; ++i) {
    auto record = input.reader.next();
    auto packet = Result<Packet>(Packet{});
    if (record && *record) packet = read_packet(**record);
    if (!record || !packet) {
      warnings_.push_back(fmt::format("{}: {}", input.interface.name, (record ? packet.error() : record.error()).message));
      input.ended = true;
      return any;
    }
    if (!*record) break;
    any = true;
    ++input.interface.received;
    TRY(writer_.packet(number, *packet, (*record)->lost, input.connections.comment(*packet, (*record)->lost)));
    if (left_) --*left_;
    if (output_.ended()) break;
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
    bool any = false;
    uint32_t number = 0;
    for (Input& input : inputs_) {
      if (!input.ended && TRY(drain(input, number, kTurn))) any = true;
      ++number;
    }
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
    if (input.writer_gone) input.ended = true;
    if (!input.ended && !input.reader.arm(busy_ ? input.source.ring.capacity() / 4 : 1)) sleep = false;
    watched.push_back({.fd = input.ended ? -1 : input.source.wake.get(), .events = POLLIN, .revents = 0});
  }
  if (!busy_) TRY(writer_.flush());
  if (std::ranges::all_of(inputs_, [](const Input& input) { return input.ended; })) return std::nullopt;
  const int timeout = !sleep ? 0 : busy_ ? kLingerMilliseconds : -1;
  const int ready = ::poll(watched.data(), watched.size(), timeout);
  if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for packets");
  busy_ = ready > 0;
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
  uint32_t number = 0;
  for (Input& input : inputs_) {
    if (!input.ended) TRY(drain(input, number, input.source.ring.capacity() / 64));
    input.source.wake.reset();
    input.interface.ended = wall_clock();
    input.interface.dropped = input.reader.dropped();
    TRY(writer_.statistics(number++, input.interface));
  }
  return writer_.flush();
}

}  // namespace adyton::capture
