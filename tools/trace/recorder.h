// Moves records from the rings of a running trace to a writer, until something ends it.
//
// Bounded: the rings and the writer's buffer are all that there is. A writer that is slow (a pipe that nobody reads) makes the
// rings fill up; what is dropped then is counted and said in the trace.
#pragma once
#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "observe/record_ring.h"
#include "tools/capture/output.h"
#include "tools/trace/decoder.h"
#include "tools/trace/memory_watch.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

// A thread of the VM.
struct Source {
  Decoder::Kind kind = Decoder::Kind::kDevice;
  std::string name;
  observe::RecordRing ring;
};

// What is known of the VM's start otherwise: times of CLOCK_MONOTONIC.
struct Phase {
  std::string name;
  uint64_t begin = 0;
  uint64_t end = 0;
};

enum class EndReason : uint8_t {
  kVmEnded,
  kInterrupted,
  kDuration,
  kReaderGone,  // nobody takes the output any more
};

class Recorder {
 public:
  // `wake`: its end is the VM's, and closing it ends the trace. `interrupt`: a descriptor that becomes readable when the trace is
  // to end, or -1.
  Recorder(Writer& writer, capture::Output& output, UniqueFd wake, int interrupt)
      : writer_(writer), output_(output), wake_(std::move(wake)), interrupt_(interrupt) {}

  // Before run().
  void add(Source source);
  // Adds the pressure on the host's memory, and the VM's balloon.
  void watch_memory(MemorySources sources) { memory_.emplace(writer_, next_track_, std::move(sources)); }

  Result<EndReason> run(Process process, std::optional<std::chrono::nanoseconds> duration);
  // After run(): the last words.
  Result<void> finish(const std::vector<Phase>& phases);

  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] uint64_t received() const { return received_; }
  [[nodiscard]] uint64_t dropped() const;

 private:
  struct Input {
    explicit Input(Source from) : source(std::move(from)), reader(source.ring) {}
    Source source;
    observe::RecordReader reader;
    std::optional<Decoder> decoder;
    bool ended = false;
  };

  Result<bool> drain(Input& input, size_t most);
  std::optional<EndReason> wait(std::optional<uint64_t> end);

  Writer& writer_;
  capture::Output& output_;
  UniqueFd wake_;
  const int interrupt_;
  std::list<Input> inputs_;
  TrackId next_track_ = kProcessTrack + 1;
  TrackId hypervisor_track_ = 0;
  std::optional<MemoryWatch> memory_;
  uint64_t received_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace adyton::trace
