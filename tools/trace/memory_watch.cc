#include "tools/trace/memory_watch.h"

#include <algorithm>

namespace adyton::trace {

Result<void> MemoryWatch::look(uint64_t now) {
  if (!host_looked_ || now >= *host_looked_ + kPressurePeriod) TRY(look_at_host(now));
  if (!guest_looked_ || now >= *guest_looked_ + kGuestPeriod) TRY(look_at_guest(now));
  return {};
}

Result<void> MemoryWatch::finish(uint64_t now) {
  if (!host_looked_ || now > *host_looked_) TRY(look_at_host(now));
  return look_at_guest(now);
}

Result<void> MemoryWatch::look_at_host(uint64_t now) {
  const auto stalled = sources_.stalled ? sources_.stalled() : std::nullopt;
  if (!stalled) return {};
  const uint64_t before = std::exchange(stalled_, *stalled);
  const auto since = std::exchange(host_looked_, now);
  if (!since) return {};  // nothing to compare with
  const uint64_t share = std::min<uint64_t>((*stalled - std::min(before, *stalled)) * 1'000'000 / (now - *since), 1000);
  TRY(count(pressure_track_, "host memory pressure, per mille of the time", now, share));
  return share < kNotedPerMille ? Result<void>() : mark("memory pressure", now, "per mille of the time", share);
}

Result<void> MemoryWatch::look_at_guest(uint64_t now) {
  if (!sources_.guest) return {};
  guest_looked_ = now;
  const auto guest = sources_.guest();
  if (!guest) return {};
  TRY(count(target_track_, "balloon target, bytes", now, guest->balloon_target));
  TRY(count(balloon_track_, "balloon, bytes", now, guest->balloon));
  if (guest->free) TRY(count(free_track_, "guest memory free, bytes", now, *guest->free));
  if (guest->available) TRY(count(available_track_, "guest memory available, bytes", now, *guest->available));
  const auto before = std::exchange(guest_, guest);
  if (!before) return {};
  if (before->balloon_target != guest->balloon_target) TRY(mark("balloon target", now, "bytes", guest->balloon_target));
  if (before->balloon != guest->balloon) TRY(mark("balloon", now, "bytes", guest->balloon));
  return {};
}

Result<void> MemoryWatch::count(TrackId& track, std::string_view name, uint64_t now, uint64_t value) {
  if (track == 0) {
    track = next_track_++;
    TRY(writer_.track({.id = track, .name = std::string(name), .counter = true}));
  }
  return writer_.event({.type = Event::Type::kCounter, .track = track, .time = now, .value = static_cast<int64_t>(value)});
}

Result<void> MemoryWatch::mark(std::string_view name, uint64_t now, std::string_view unit, uint64_t value) {
  const Argument argument{unit, value};
  return writer_.event({.type = Event::Type::kInstant,
                        .track = kProcessTrack,
                        .time = now,
                        .category = "memory",
                        .name = name,
                        .arguments = std::span(&argument, 1)});
}

}  // namespace adyton::trace
