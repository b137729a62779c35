// Makes a trace's events of the records that one thread of a VM has left in its ring (observe/trace_record.h).
//
// The VM's process may be in the hands of its guest, so the records may be anything. They cannot do more than tell lies about
// that one thread: names are ours, times are moved to where they can be (between the trace's beginning and now, in order),
// slices are closed that were opened, and no others; what makes no sense is left out and counted. Memory is bounded.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "observe/record_ring.h"
#include "tools/trace/rpc_calls.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

class Decoder {
 public:
  enum class Kind : uint8_t { kVcpu, kDevice, kService, kPackets };  // kPackets: of a capture, for the calls in them
  // `name`: "vCPU 0", "virtio-blk". `next_track`: of all decoders of a trace. `started`: the time at which the trace began.
  // `wall_clock`: what the wall clock, which packets' times are of, is ahead of CLOCK_MONOTONIC.
  Decoder(Writer& writer, Kind kind, std::string name, TrackId& next_track, TrackId& hypervisor_track, uint64_t started,
          uint64_t wall_clock = 0)
      : writer_(writer),
        kind_(kind),
        name_(std::move(name)),
        next_track_(next_track),
        hypervisor_track_(hypervisor_track),
        started_(started),
        wall_clock_(wall_clock),
        last_(started),
        calls_(writer, name_, next_track) {}

  // `now`: the time now, which no record is after. Fails when the writer does.
  Result<void> record(const observe::Record& record, uint64_t now);
  // Closes what is open. `lost`: records that were dropped after the last one.
  Result<void> finish(uint64_t now, uint64_t lost);

  [[nodiscard]] uint64_t odd() const { return odd_; }

 private:
  // Calls that are served at once, or connections that are open, have a track each, and it is another's afterwards. With more
  // than that, openings and closings are marks on the device's own track.
  static constexpr size_t kMaxLanes = 64;
  struct Lane {
    TrackId track = 0;
    bool busy = false;
    uint64_t free_from = 0;  // of calls
  };

  Result<void> mark_lost(uint64_t count);
  Result<void> close(uint64_t time);
  Result<void> vcpu_record(const observe::Record& record, uint64_t time);
  Result<void> device_record(const observe::Record& record, uint64_t time);
  Result<void> raised(const observe::Record& record, uint64_t time);
  Result<void> vsock(const observe::Record& record, uint64_t time);
  Result<void> call(const observe::Record& record, uint64_t time);
  Result<TrackId> own_track();
  Result<TrackId> add_track(std::string name, TrackId parent);
  Result<void> enter(uint64_t time);
  Result<void> leave(uint64_t time, std::span<const Argument> why);
  Result<void> skip() {
    ++odd_;
    return {};
  }
  // Where a time can be.
  uint64_t place(uint64_t time, uint64_t now);

  Writer& writer_;
  const Kind kind_;
  const std::string name_;
  TrackId& next_track_;
  TrackId& hypervisor_track_;  // the parent of all vCPUs' ones; 0: not there yet
  const uint64_t started_;
  const uint64_t wall_clock_;
  uint64_t last_;  // the time of the last event
  uint64_t odd_ = 0;
  TrackId own_ = 0;
  TrackId hypervisor_ = 0;
  bool in_guest_ = false;
  bool in_hypervisor_ = false;
  std::vector<Lane> lanes_;
  std::map<std::pair<uint32_t, uint32_t>, size_t> connections_;  // lanes, by guest and host port
  RpcCalls calls_;                                               // of kPackets
};

}  // namespace adyton::trace
