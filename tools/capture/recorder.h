// Moves packets from the rings of running captures to a writer, until something ends it.
//
// Packets of several virtual machines are put into the order of their times, although each has a ring of its own: one is written
// when those with earlier times have had a millisecond to arrive. A silent virtual machine is not waited for, nor is a time
// believed that has not come yet. (Out of order are those whose VMM was held up for longer between the stamp and the ring.)
//
// Bounded: the rings, the writer's buffer and a table of connections are all that there is. A writer that is slow (a pipe that
// nobody reads) makes the rings fill up; what is dropped then is counted and said in the file.
#pragma once
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "observe/record_ring.h"
#include "tools/capture/connection_table.h"
#include "tools/capture/output.h"
#include "tools/capture/writer.h"

namespace adyton::capture {

// What is asked of the virtual machine.
struct Request {
  std::vector<uint32_t> ports;        // packets from or to one of them; none: all
  uint32_t snaplen = kMaxPacketSize;  // bytes of each packet, headers included
};
// The most payload that has to be recorded for a snaplen.
uint32_t payload_limit(uint32_t snaplen);

// One virtual machine, being captured.
struct Source {
  std::string name;
  observe::RecordRing ring;
  UniqueFd wake;
};

enum class EndReason : uint8_t {
  kSourcesEnded,  // every virtual machine is gone
  kInterrupted,
  kCount,       // as many packets as were asked for
  kReaderGone,  // nobody takes the output any more
};

class Recorder {
 public:
  // `interrupt`: a descriptor that becomes readable when the capture is to end, or -1. All of it stays the caller's.
  Recorder(Writer& writer, Output& output, int interrupt) : writer_(writer), output_(output), interrupt_(interrupt) {}

  void add(Source source);

  // Runs until one of the reasons; `count`: the most packets to write. A source whose ring cannot be believed any more is ended
  // and told of by warnings(). Fails when the output cannot be written.
  Result<EndReason> run(std::optional<uint64_t> count);

  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] uint64_t received() const;
  [[nodiscard]] uint64_t dropped() const;

 private:
  struct Input {
    explicit Input(Source from) : source(std::move(from)), reader(source.ring, kCopiedOfRecord), interface {
      .name = source.name
    } {}
    Source source;
    observe::RecordReader reader;
    Interface interface;
    ConnectionTable connections;
    uint32_t number = 0;
    // The ring's next packet, until it is its turn.
    struct Held {
      Packet packet;
      uint64_t lost = 0;
      uint64_t time = 0;  // when it takes its turn: nanoseconds since the Unix epoch
    };
    std::optional<Held> held = {};
    bool writer_gone = false;
    bool ended = false;
  };

  void fetch(Input& input);
  Result<bool> drain(size_t most, uint64_t until);
  Result<std::optional<EndReason>> wait();
  Result<void> finish();

  Writer& writer_;
  Output& output_;
  const int interrupt_;
  std::list<Input> inputs_;
  std::optional<uint64_t> left_;
  bool busy_ = false;  // something came a moment ago
  std::vector<std::string> warnings_;
};

}  // namespace adyton::capture
