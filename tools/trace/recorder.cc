#include "tools/trace/recorder.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "observe/trace_source.h"

namespace adyton::trace {
namespace {

using observe::TraceSource;

// Records of one thread before it is another's turn.
constexpr size_t kTurn = 1024;
// Nobody wakes us: a record would cost the VM more if it could.
constexpr int kLookMilliseconds = 10;

bool hung_up(int socket) {
  char byte;
  const ssize_t got = ::recv(socket, &byte, 1, MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace

void Recorder::add(Source source) { inputs_.emplace_back(std::move(source)); }

uint64_t Recorder::dropped() const {
  uint64_t sum = 0;
  for (const Input& input : inputs_) sum += input.reader.dropped();
  return sum;
}

// Whether there was anything.
Result<bool> Recorder::drain(Input& input, size_t most) {
  bool any = false;
  const uint64_t now = TraceSource::now();
  for (size_t i = 0; i < most; ++i) {
    const auto record = input.reader.next();
    if (!record) {
      warnings_.push_back(fmt::format("{}: {}", input.source.name, record.error().message));
      input.ended = true;
      break;
    }
    if (!*record) break;
    any = true;
    ++received_;
    // It may have been written after we looked at the clock.
    TRY(input.decoder->record(**record, i == 0 ? now : std::max(now, TraceSource::now())));
    if (output_.ended()) break;
  }
  return any;
}

Result<EndReason> Recorder::run(Process process, std::optional<std::chrono::nanoseconds> duration) {
  const uint64_t started = TraceSource::now();
  TRY(writer_.begin(process));
  for (Input& input : inputs_)
    input.decoder.emplace(writer_, input.source.kind, input.source.name, next_track_, hypervisor_track_, process.monotonic,
                          process.realtime - process.monotonic);
  std::optional<uint64_t> end;
  if (duration) end = started + static_cast<uint64_t>(duration->count());
  std::optional<EndReason> reason;
  while (!reason) {
    bool any = false;
    for (Input& input : inputs_) {
      if (!input.ended && TRY(drain(input, kTurn))) any = true;
    }
    if (memory_) TRY(memory_->look(TraceSource::now()));
    if (output_.ended()) {
      reason = EndReason::kReaderGone;
    } else {
      if (!any) TRY(writer_.flush());
      reason = wait(any ? std::optional<uint64_t>(0) : end);
      if (!reason && end && TraceSource::now() >= *end) reason = EndReason::kDuration;
    }
  }
  return *reason;
}

// `end`: when to wake up at the latest; 0: do not sleep at all.
std::optional<EndReason> Recorder::wait(std::optional<uint64_t> end) {
  pollfd watched[] = {{.fd = interrupt_, .events = POLLIN, .revents = 0},
                      {.fd = output_.fd(), .events = 0, .revents = 0},
                      {.fd = wake_.get(), .events = POLLIN | POLLRDHUP, .revents = 0}};
  int timeout = kLookMilliseconds;
  if (end) {
    const uint64_t now = TraceSource::now();
    timeout = *end <= now ? 0 : static_cast<int>(std::min<uint64_t>(kLookMilliseconds, (*end - now) / 1'000'000 + 1));
  }
  if (::poll(watched, std::size(watched), timeout) <= 0) return std::nullopt;
  if (watched[0].revents != 0) return EndReason::kInterrupted;
  if (watched[1].revents != 0) return EndReason::kReaderGone;
  if (watched[2].revents != 0 && hung_up(wake_.get())) return EndReason::kVmEnded;
  return std::nullopt;
}

Result<void> Recorder::finish(const std::vector<Phase>& phases) {
  // The VM stops writing first; what is in the rings then still is part of the trace.
  wake_.reset();
  const uint64_t end = TraceSource::now();
  for (Input& input : inputs_) {
    if (!input.ended) TRY(drain(input, input.source.ring.capacity() / 24));
    TRY(input.decoder->finish(std::max(end, TraceSource::now()), input.reader.dropped_at_end()));
    if (input.decoder->odd() > 0) {
      warnings_.push_back(
          fmt::format("{}: {} records make no sense, and were left out: the virtual machine's process writes what "
                      "it should not",
                      input.source.name, input.decoder->odd()));
    }
  }
  if (memory_) TRY(memory_->finish(std::max(end, TraceSource::now())));
  if (!phases.empty()) {
    const TrackId track = next_track_++;
    TRY(writer_.track({.id = track, .name = "boot"}));
    for (const Phase& phase : phases) {
      const bool mark = phase.end <= phase.begin;
      TRY(writer_.event({.type = mark ? Event::Type::kInstant : Event::Type::kBegin,
                         .track = track,
                         .time = phase.begin,
                         .category = "boot",
                         .name = phase.name}));
      if (!mark) TRY(writer_.event({.type = Event::Type::kEnd, .track = track, .time = phase.end}));
    }
  }
  return writer_.end();
}

}  // namespace adyton::trace
