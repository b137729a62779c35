#include "tools/trace/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "observe/trace_record.h"

namespace adyton::trace {
namespace {

using observe::TraceExitReason;
using observe::TraceType;

constexpr std::array<std::string_view, 10> kReasons = {"unknown", "mmio", "irqchip", "doorbell", "firmware",
                                                       "wfi",     "wfe",  "kick",    "debug",    "error"};

constexpr std::array<std::string_view, 9> kInterruptSources = {
    "unknown", "another vCPU (SGI)", "virtual timer", "physical timer", "PPI", "UART", "RTC", "watchdog", "device (SPI)"};

template <typename T>
std::optional<T> body_of(const observe::Record& record) {
  if (record.bytes.size() != sizeof(T)) return std::nullopt;
  T body;
  std::memcpy(&body, record.bytes.data(), sizeof(body));
  return body;
}

}  // namespace

uint64_t Decoder::place(uint64_t time, uint64_t now) {
  // Clocks of two processors may differ by a little, and `now` was read on a third.
  last_ = std::max(last_, std::min(time, now));
  return last_;
}

Result<TrackId> Decoder::add_track(std::string name, TrackId parent) {
  const TrackId id = next_track_++;
  TRY(writer_.track({.id = id, .parent = parent, .name = std::move(name)}));
  return id;
}

Result<TrackId> Decoder::own_track() {
  if (own_ == 0) own_ = TRY(add_track(name_, kProcessTrack));
  return own_;
}

Result<void> Decoder::record(const observe::Record& record, uint64_t now) {
  const uint64_t recorded = kind_ == Kind::kPackets ? record.time - std::min(record.time, wall_clock_) : record.time;
  if (record.lost > 0) {
    // What is open may have ended in what is missing.
    TRY(close(place(recorded, now)));
    TRY(mark_lost(record.lost));
  }
  if (kind_ == Kind::kVcpu) {
    if (static_cast<TraceType>(record.type) != TraceType::kTranslated) return vcpu_record(record, place(record.time, now));
    // It began after what came before it.
    const auto translation = body_of<observe::TraceTranslation>(record);
    if (!translation) return skip();
    const uint64_t begin = place(translation->begin, now);
    const uint64_t end = place(record.time, now);
    const std::array<Argument, 2> arguments = {
        {{"pc", Address{translation->pc}}, {"instructions", uint64_t{translation->instructions}}}};
    const TrackId track = TRY(own_track());
    TRY(writer_.event({.type = Event::Type::kBegin,
                       .track = track,
                       .time = begin,
                       .category = "translation",
                       .name = "translate",
                       .arguments = arguments}));
    return writer_.event({.type = Event::Type::kEnd, .track = track, .time = end});
  }
  if (kind_ == Kind::kPackets) {
    const auto packet = capture::read_packet(record);
    return packet ? calls_.packet(*packet, place(recorded, now)) : skip();
  }
  if (kind_ == Kind::kService) return call(record, place(record.time, now));
  return device_record(record, place(record.time, now));
}

Result<void> Decoder::mark_lost(uint64_t count) {
  const Argument lost{"records", count};
  return writer_.event({.type = Event::Type::kInstant,
                        .track = TRY(own_track()),
                        .time = last_,
                        .category = "trace",
                        .name = "records lost: the reader was too slow",
                        .arguments = std::span(&lost, 1)});
}

Result<void> Decoder::enter(uint64_t time) {
  if (std::exchange(in_hypervisor_, false)) TRY(writer_.event({.type = Event::Type::kEnd, .track = hypervisor_, .time = time}));
  if (std::exchange(in_guest_, true)) return skip();
  return writer_.event(
      {.type = Event::Type::kBegin, .track = TRY(own_track()), .time = time, .category = "vcpu", .name = "guest"});
}

Result<void> Decoder::leave(uint64_t time, std::span<const Argument> why) {
  if (!std::exchange(in_guest_, false)) return {};
  return writer_.event({.type = Event::Type::kEnd, .track = own_, .time = time, .arguments = why});
}

Result<void> Decoder::vcpu_record(const observe::Record& record, uint64_t time) {
  switch (static_cast<TraceType>(record.type)) {
    case TraceType::kGuestEnter: return enter(time);
    case TraceType::kGuestExit: {
      const auto exit = body_of<observe::TraceExit>(record);
      if (!exit) return skip();
      const std::string_view reason = kReasons[exit->reason < kReasons.size() ? exit->reason : 0];
      std::array<Argument, 3> arguments = {
          {{"exit", reason}, {"address", Address{exit->detail}}, {"write", uint64_t{exit->is_write != 0}}}};
      size_t count = 1;
      switch (static_cast<TraceExitReason>(exit->reason)) {
        case TraceExitReason::kMmio:
        case TraceExitReason::kIrqchip:
        case TraceExitReason::kDoorbell: count = 3; break;
        case TraceExitReason::kFirmware:
          arguments[1].name = "function";
          count = 2;
          break;
        default: break;
      }
      const auto why = std::span<const Argument>(arguments).first(count);
      // One that began before the trace did is no slice, but what follows it is one.
      TRY(leave(time, why));
      if (hypervisor_track_ == 0) hypervisor_track_ = TRY(add_track("hypervisor", kProcessTrack));
      if (hypervisor_ == 0) hypervisor_ = TRY(add_track(fmt::format("hypervisor, {}", name_), hypervisor_track_));
      if (std::exchange(in_hypervisor_, true))
        TRY(writer_.event({.type = Event::Type::kEnd, .track = hypervisor_, .time = time}));
      return writer_.event({.type = Event::Type::kBegin,
                            .track = hypervisor_,
                            .time = time,
                            .category = "hyp",
                            .name = reason,
                            .arguments = why.subspan(1)});
    }
    case TraceType::kInterrupt: {
      const auto interrupt = body_of<observe::TraceInterrupt>(record);
      if (!interrupt) return skip();
      const Argument intid{"intid", uint64_t{interrupt->intid}};
      return writer_.event({.type = Event::Type::kInstant,
                            .track = TRY(own_track()),
                            .time = time,
                            .category = "irq",
                            .name = "interrupt taken",
                            .arguments = std::span(&intid, 1)});
    }
    default: return skip();
  }
}

Result<void> Decoder::device_record(const observe::Record& record, uint64_t time) {
  Event event{.type = Event::Type::kInstant, .time = time, .category = "virtio"};
  switch (static_cast<TraceType>(record.type)) {
    case TraceType::kQueueKick:
    case TraceType::kQueueDone: {
      const auto queue = body_of<observe::TraceQueue>(record);
      if (!queue) return skip();
      const std::array<Argument, 2> arguments = {{{"queue", uint64_t{queue->queue}}, {"chains", uint64_t{queue->chains}}}};
      const bool kick = static_cast<TraceType>(record.type) == TraceType::kQueueKick;
      event.track = TRY(own_track());
      event.name = kick ? "kick" : "done";
      event.arguments = std::span<const Argument>(arguments).first(kick ? 1 : 2);
      return writer_.event(event);
    }
    case TraceType::kRaised:
      if (!record.bytes.empty()) return skip();
      event.track = TRY(own_track());
      event.category = "irq";
      event.name = "interrupt raised";
      return writer_.event(event);
    case TraceType::kRaisedTo: return raised(record, time);
    case TraceType::kVsockOpened:
    case TraceType::kVsockClosed: return vsock(record, time);
    default: return skip();
  }
}

Result<void> Decoder::raised(const observe::Record& record, uint64_t time) {
  const auto what = body_of<observe::TraceRaised>(record);
  if (!what) return skip();
  const std::string_view source = kInterruptSources[what->source < kInterruptSources.size() ? what->source : 0];
  const std::array<Argument, 4> arguments = {{{"source", source},
                                              {"intid", uint64_t{what->intid}},
                                              {"vcpu", uint64_t{what->vcpu}},
                                              {"from vcpu", uint64_t{what->from}}}};
  using Source = observe::TraceInterruptSource;
  const bool sgi = what->source == static_cast<uint32_t>(Source::kSgi);
  const bool own = what->source >= static_cast<uint32_t>(Source::kSgi) && what->source <= static_cast<uint32_t>(Source::kPpi);
  return writer_.event({.type = Event::Type::kInstant,
                        .track = TRY(own_track()),
                        .time = time,
                        .category = "irq",
                        .name = "interrupt raised",
                        .arguments = std::span<const Argument>(arguments).first(sgi   ? 4
                                                                                : own ? 3
                                                                                      : 2)});
}

Result<void> Decoder::vsock(const observe::Record& record, uint64_t time) {
  const auto what = body_of<observe::TraceVsock>(record);
  if (!what) return skip();
  const auto key = std::pair(what->guest_port, what->host_port);
  const bool opened = static_cast<TraceType>(record.type) == TraceType::kVsockOpened;
  const auto found = connections_.find(key);
  if (!opened && found != connections_.end()) {
    Lane& lane = lanes_[found->second];
    connections_.erase(found);
    lane.busy = false;
    return writer_.event({.type = Event::Type::kEnd, .track = lane.track, .time = time});
  }
  const std::array<Argument, 3> arguments = {{{"guest port", uint64_t{what->guest_port}},
                                              {"host port", uint64_t{what->host_port}},
                                              {"type", std::string_view(what->seqpacket != 0 ? "seqpacket" : "stream")}}};
  auto lane = std::ranges::find(lanes_, false, &Lane::busy);
  const bool slice = opened && found == connections_.end() && (lane != lanes_.end() || lanes_.size() < kMaxLanes);
  const std::string name = fmt::format("guest:{} - host:{}", what->guest_port, what->host_port);
  if (!slice) {
    // It was opened before the trace began, or there are too many.
    return writer_.event({.type = Event::Type::kInstant,
                          .track = TRY(own_track()),
                          .time = time,
                          .category = "vsock",
                          .name = opened ? "connection opened" : "connection closed",
                          .arguments = arguments});
  }
  if (lane == lanes_.end()) {
    const TrackId track = TRY(add_track(fmt::format("{}, connections", name_), kProcessTrack));
    lane = lanes_.insert(lanes_.end(), Lane{.track = track});
  }
  lane->busy = true;
  connections_[key] = static_cast<size_t>(lane - lanes_.begin());
  return writer_.event({.type = Event::Type::kBegin,
                        .track = lane->track,
                        .time = time,
                        .category = "vsock",
                        .name = name,
                        .arguments = arguments});
}

Result<void> Decoder::call(const observe::Record& record, uint64_t time) {
  if (static_cast<TraceType>(record.type) != TraceType::kCall || record.bytes.size() < sizeof(observe::TraceCall) ||
      record.bytes.size() > sizeof(observe::TraceCall) + observe::kMaxTraceCallName)
    return skip();
  observe::TraceCall call;
  std::memcpy(&call, record.bytes.data(), sizeof(call));
  std::string name(record.bytes.begin() + sizeof(call), record.bytes.end());
  for (char& c : name) {
    if (c < ' ' || c > '~') c = '?';
  }
  // Several are served at once: each goes where the one before has ended.
  const uint64_t begin = std::clamp(call.begin, started_, time);
  auto lane = std::ranges::find_if(lanes_, [&](const Lane& l) { return l.free_from <= begin; });
  if (lane == lanes_.end()) {
    if (lanes_.size() == kMaxLanes) return skip();
    lane = lanes_.insert(lanes_.end(), Lane{.track = TRY(add_track(name_, kProcessTrack))});
  }
  lane->free_from = time;
  const std::array<Argument, 3> arguments = {{{"from", std::string_view(call.from_guest != 0 ? "guest" : "client")},
                                              {"succeeded", uint64_t{call.succeeded != 0}},
                                              {"oneway", uint64_t{call.oneway != 0}}}};
  TRY(writer_.event({.type = Event::Type::kBegin,
                     .track = lane->track,
                     .time = begin,
                     .category = "rpc",
                     .name = name,
                     .arguments = arguments}));
  return writer_.event({.type = Event::Type::kEnd, .track = lane->track, .time = time});
}

Result<void> Decoder::finish(uint64_t now, uint64_t lost) {
  // With something missing at the end, nothing is known of the time after the last record.
  if (lost == 0) return close(place(now, now));
  TRY(close(last_));
  return mark_lost(lost);
}

Result<void> Decoder::close(uint64_t time) {
  TRY(leave(time, {}));
  if (std::exchange(in_hypervisor_, false)) TRY(writer_.event({.type = Event::Type::kEnd, .track = hypervisor_, .time = time}));
  for (Lane& lane : lanes_) {
    if (std::exchange(lane.busy, false)) TRY(writer_.event({.type = Event::Type::kEnd, .track = lane.track, .time = time}));
  }
  connections_.clear();
  return calls_.lose(time);
}

}  // namespace adyton::trace
