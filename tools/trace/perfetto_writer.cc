#include "tools/trace/perfetto_writer.h"

namespace adyton::trace {
namespace {

// Numbers of fields and values, from google/perfetto, protos/perfetto/: they are part of the format and never change.
// trace/trace.proto
constexpr uint32_t kTracePacket = 1;
// trace/trace_packet.proto
namespace packet {
constexpr uint32_t kClockSnapshot = 6, kTimestamp = 8, kSequenceId = 10, kTrackEvent = 11, kTimestampClockId = 58;
constexpr uint32_t kTrackDescriptor = 60;
}  // namespace packet
// trace/clock_snapshot.proto, common/builtin_clock.proto
namespace clock_snapshot {
constexpr uint32_t kClocks = 1, kPrimaryTraceClock = 2;
constexpr uint32_t kClockId = 1, kTimestamp = 2;
constexpr uint64_t kRealtime = 1, kMonotonic = 3, kBoottime = 6;
}  // namespace clock_snapshot
// trace/track_event/{track,process,counter}_descriptor.proto
namespace descriptor {
constexpr uint32_t kUuid = 1, kName = 2, kProcess = 3, kParentUuid = 5, kCounter = 8;
constexpr uint32_t kProcessPid = 1, kProcessName = 6;
}  // namespace descriptor
// trace/track_event/track_event.proto
namespace track_event {
constexpr uint32_t kDebugAnnotations = 4, kType = 9, kTrackUuid = 11, kCategories = 22, kName = 23, kCounterValue = 30;
constexpr uint64_t kSliceBegin = 1, kSliceEnd = 2, kInstant = 3, kCounter = 4;
}  // namespace track_event
// trace/track_event/debug_annotation.proto
namespace annotation {
constexpr uint32_t kUint = 3, kString = 6, kPointer = 7, kName = 10;
}  // namespace annotation

// Identifiers of tracks are to be unlike those of other traces that this one may be merged with.
uint64_t uuid(TrackId track) { return 0xad17'0000'0000'0000 | track; }

uint64_t type_of(Event::Type type) {
  switch (type) {
    case Event::Type::kBegin: return track_event::kSliceBegin;
    case Event::Type::kEnd: return track_event::kSliceEnd;
    case Event::Type::kInstant: return track_event::kInstant;
    case Event::Type::kCounter: break;
  }
  return track_event::kCounter;
}

}  // namespace

Result<void> PerfettoWriter::write_packet() {
  // All of it is one sequence: trace_processor takes the order of its packets for granted where times are equal.
  packet_.varint(packet::kSequenceId, 1);
  trace_.clear();
  trace_.message(kTracePacket, packet_);
  packet_.clear();
  return output_.write(trace_.data());
}

Result<void> PerfettoWriter::begin(const Process& process) {
  body_.clear();
  for (const auto& [id, time] :
       {std::pair(clock_snapshot::kMonotonic, process.monotonic), std::pair(clock_snapshot::kBoottime, process.boottime),
        std::pair(clock_snapshot::kRealtime, process.realtime)}) {
    part_.clear();
    part_.varint(clock_snapshot::kClockId, id);
    part_.varint(clock_snapshot::kTimestamp, time);
    body_.message(clock_snapshot::kClocks, part_);
  }
  body_.varint(clock_snapshot::kPrimaryTraceClock, clock_snapshot::kMonotonic);
  packet_.message(packet::kClockSnapshot, body_);
  TRY(write_packet());

  part_.clear();
  part_.varint(descriptor::kProcessPid, static_cast<uint64_t>(process.pid));
  part_.bytes(descriptor::kProcessName, process.name);
  body_.clear();
  body_.varint(descriptor::kUuid, uuid(kProcessTrack));
  body_.bytes(descriptor::kName, process.name);
  body_.message(descriptor::kProcess, part_);
  packet_.message(packet::kTrackDescriptor, body_);
  return write_packet();
}

Result<void> PerfettoWriter::track(const Track& track) {
  body_.clear();
  body_.varint(descriptor::kUuid, uuid(track.id));
  body_.bytes(descriptor::kName, track.name);
  body_.varint(descriptor::kParentUuid, uuid(track.parent));
  if (track.counter) body_.bytes(descriptor::kCounter, {});
  packet_.message(packet::kTrackDescriptor, body_);
  return write_packet();
}

Result<void> PerfettoWriter::event(const Event& event) {
  body_.clear();
  body_.varint(track_event::kType, type_of(event.type));
  body_.varint(track_event::kTrackUuid, uuid(event.track));
  if (event.type == Event::Type::kCounter) {
    body_.varint(track_event::kCounterValue, static_cast<uint64_t>(event.value));
  } else if (event.type != Event::Type::kEnd) {
    body_.bytes(track_event::kCategories, event.category);
    body_.bytes(track_event::kName, event.name);
  }
  for (const Argument& argument : event.arguments) {
    part_.clear();
    part_.bytes(annotation::kName, argument.name);
    if (const auto* number = std::get_if<uint64_t>(&argument.value)) part_.varint(annotation::kUint, *number);
    if (const auto* address = std::get_if<Address>(&argument.value)) part_.varint(annotation::kPointer, address->value);
    if (const auto* text = std::get_if<std::string_view>(&argument.value)) part_.bytes(annotation::kString, *text);
    body_.message(track_event::kDebugAnnotations, part_);
  }
  packet_.varint(packet::kTimestamp, event.time);
  packet_.varint(packet::kTimestampClockId, clock_snapshot::kMonotonic);
  packet_.message(packet::kTrackEvent, body_);
  return write_packet();
}

}  // namespace adyton::trace
