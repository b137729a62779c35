// What a trace is made of, and what writes it as a file.
//
// Things happen on tracks: slices that nest, instants, and the values of counters. Times are nanoseconds of CLOCK_MONOTONIC;
// those of one track need not come in order, but a slice's begin comes before its end.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace adyton::trace {

using TrackId = uint32_t;
inline constexpr TrackId kProcessTrack = 1;  // the virtual machine itself; the parent of those without another one

struct Process {
  std::string name;
  int32_t pid = 0;
  uint64_t monotonic = 0;  // the time now, on three clocks
  uint64_t boottime = 0;
  uint64_t realtime = 0;  // since 1970-01-01 UTC
};

struct Track {
  TrackId id = 0;  // above kProcessTrack
  TrackId parent = kProcessTrack;
  std::string name;
  bool counter = false;
};

// An address is written in hexadecimal.
struct Address {
  uint64_t value = 0;
};
struct Argument {
  std::string_view name;
  std::variant<uint64_t, Address, std::string_view> value;
};

struct Event {
  enum class Type : uint8_t { kBegin, kEnd, kInstant, kCounter } type = Type::kInstant;
  TrackId track = 0;
  uint64_t time = 0;
  std::string_view category;  // not of an end or a counter
  std::string_view name;      // likewise
  std::span<const Argument> arguments;
  int64_t value = 0;  // of a counter
};

class Writer {
 public:
  virtual ~Writer() = default;
  // In this order: begin(), any number of track() and event() (a track before its events), end(). They fail when the output
  // cannot be written.
  virtual Result<void> begin(const Process& process) = 0;
  virtual Result<void> track(const Track& track) = 0;
  virtual Result<void> event(const Event& event) = 0;
  virtual Result<void> end() = 0;
  virtual Result<void> flush() = 0;
};

}  // namespace adyton::trace
