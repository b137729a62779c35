// The memory events of a trace: how short the host is of memory, and what the VM's balloon and its guest say of theirs.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "tools/trace/pressure.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

// Bytes; what the guest does not tell is empty.
struct GuestMemory {
  uint64_t balloon_target = 0;  // what the guest is asked to give up
  uint64_t balloon = 0;         // what it has given up
  std::optional<uint64_t> free, available;
};

struct MemorySources {
  // Microseconds that some task of the host has waited for memory, ever; empty: the kernel does not tell.
  std::function<std::optional<uint64_t>()> stalled = [pressure = std::make_shared<MemoryPressure>()] {
    return pressure->stalled();
  };
  // May be absent, and may answer nothing: the VM does not tell.
  std::function<std::optional<GuestMemory>()> guest;
};

// Threading: one thread.
class MemoryWatch {
 public:
  static constexpr uint64_t kPressurePeriod = 100'000'000;  // nanoseconds
  static constexpr uint64_t kGuestPeriod = 500'000'000;     // it costs a question to the VM's process
  static constexpr uint64_t kNotedPerMille = 50;            // of the time, in which tasks waited: worth a mark

  // `next_track`: of all who make tracks in this trace.
  MemoryWatch(Writer& writer, TrackId& next_track, MemorySources sources)
      : writer_(writer), next_track_(next_track), sources_(std::move(sources)) {}

  // Writes what there is to say at `now`, if it is time. Fails when the writer does.
  Result<void> look(uint64_t now);
  // The last one, whether it is time or not.
  Result<void> finish(uint64_t now);

 private:
  Result<void> look_at_host(uint64_t now);
  Result<void> look_at_guest(uint64_t now);
  // A value of a counter, whose track is made with its first value.
  Result<void> count(TrackId& track, std::string_view name, uint64_t now, uint64_t value);
  Result<void> mark(std::string_view name, uint64_t now, std::string_view unit, uint64_t value);

  Writer& writer_;
  TrackId& next_track_;
  const MemorySources sources_;
  std::optional<uint64_t> host_looked_, guest_looked_;
  uint64_t stalled_ = 0;
  std::optional<GuestMemory> guest_;  // as it was
  TrackId pressure_track_ = 0, target_track_ = 0, balloon_track_ = 0, free_track_ = 0, available_track_ = 0;
};

}  // namespace adyton::trace
