// Records from one thread to another process, through shared memory: what captures and traces leave a virtual machine by.
//
// A ring is a sealed memfd: a page of indices, and a power of two of bytes. There is one writer and one reader. The writer never
// waits: write() takes a bounded number of steps and makes no system call, but for one byte to a socket when the reader sleeps
// and wants to be woken. When the ring is full the record is dropped and counted. Every record has the number of its attempt
// (dropped ones have one too), so that the reader knows exactly where something is missing.
//
//   auto memory = RecordRing::make_memory(1 << 20);             // either side; goes to the other one as a descriptor
//   auto ring = RecordRing::map(memory->get());                 // both sides
//   auto wake = make_wake_pair();                               // one end each; end of file tells of the other's death
//
//   RecordWriter writer(*ring, wake->writer.get());             RecordReader reader(*ring);
//   writer.write(kPacket, now, bytes);                          while (auto record = TRY(reader.next())) use(*record);
//                                                               if (reader.arm()) poll(wake->reader); drain_wakes(...);
//
// Several threads take a ring each; all rings of a process may lie in one memfd (`count`, `index`) and share one wake socket.
//
// Trust: neither side believes the other. The writer reads the reader's index and nothing else, and an index that cannot be is
// a full ring. The reader copies of each record what it is going to look at; indices, sizes and numbers that cannot be are
// kCorrupt.
// The seals keep a mapping from losing its pages. Whoever has the memory may look into all of it: it holds nothing but records.
//
// Threading: a RecordWriter belongs to one thread at a time, and so does a RecordReader.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::observe {

class RecordRing {
 public:
  static constexpr size_t kMinCapacity = 4096;             // bytes
  static constexpr size_t kMaxCapacity = size_t{1} << 26;  // bytes
  static constexpr size_t kMaxCount = 1024;

  // A memfd with `count` empty rings (1 to kMaxCount) of `capacity` bytes each: a power of two from kMinCapacity to kMaxCapacity,
  // records' headers included. Its pages are allocated here, and charged to the caller.
  static Result<UniqueFd> make_memory(size_t capacity, size_t count = 1);

  // Maps the only ring of `memory`; or the one with number `index` of `count` equal ones. The descriptor is not needed any more
  // afterwards. Fails with kCorrupt when it is not what make_memory() makes: not sealed, or of a wrong size.
  static Result<RecordRing> map(int memory, size_t index = 0, size_t count = 1);

  [[nodiscard]] size_t capacity() const { return capacity_; }

 private:
  friend class RecordWriter;
  friend class RecordReader;

  static constexpr uint64_t kNever = UINT64_MAX;
  static constexpr size_t kControlBytes = 4096;
  // Positions count bytes since the beginning; they never wrap.
  struct Control {
    alignas(64) std::atomic<uint64_t> head;  // the writer's: records end here
    std::atomic<uint64_t> dropped;           // the writer's: records for which there was no room
    alignas(64) std::atomic<uint64_t> tail;  // the reader's: all before it has been read
    std::atomic<uint64_t> wake_at;           // the reader's: wants to hear when head gets here, or kNever
  };
  struct Header {
    uint32_t size = 0;  // bytes that follow, without the padding to a multiple of 8
    uint32_t type = 0;
    uint64_t sequence = 0;
    uint64_t time = 0;
  };
  static_assert(sizeof(Header) == 24 && sizeof(Control) <= kControlBytes && std::atomic<uint64_t>::is_always_lock_free);
  static uint64_t stride(uint64_t size) { return (sizeof(Header) + size + 7) & ~uint64_t{7}; }

  RecordRing(Mapping mapping, size_t capacity) : mapping_(std::move(mapping)), capacity_(capacity) {}
  [[nodiscard]] Control& control() const { return *reinterpret_cast<Control*>(mapping_.data()); }
  // The byte at a position. As many as the capacity follow without a break: the data is mapped twice.
  [[nodiscard]] uint8_t* at(uint64_t position) const { return mapping_.data() + kControlBytes + (position & (capacity_ - 1)); }

  Mapping mapping_;
  size_t capacity_;
};

class RecordWriter {
 public:
  // `wake`: the writer's end of a wake pair, or -1 for a reader that looks by itself from time to time (a record then costs no
  // fence either). The ring and the descriptor outlive the writer. A ring has one writer in its life.
  explicit RecordWriter(const RecordRing& ring, int wake = -1) : ring_(ring), wake_(wake) {}
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  // Room for a record of `size` bytes, to be filled and then published by commit(); or null, when there is none: the record is
  // counted as dropped and no commit() follows. `type` and `time` are the caller's; by convention nanoseconds of a clock that the
  // two sides have agreed on.
  uint8_t* begin(uint32_t type, uint64_t time, size_t size);
  void commit();

  // Both at once. False: dropped.
  bool write(uint32_t type, uint64_t time, std::span<const uint8_t> bytes);

  [[nodiscard]] uint64_t written() const { return sequence_ - dropped_; }
  [[nodiscard]] uint64_t dropped() const { return dropped_; }

 private:
  void wake_reader(uint64_t wanted);

  const RecordRing& ring_;
  const int wake_;
  uint64_t head_ = 0;
  uint64_t pending_ = 0;  // bytes from begin() to commit()
  uint64_t tail_ = 0;     // the reader's, as seen last
  uint64_t sequence_ = 0;
  uint64_t dropped_ = 0;
};

struct Record {
  uint32_t type = 0;
  uint64_t sequence = 0;  // of the attempts to write, from 0
  uint64_t time = 0;
  uint64_t lost = 0;               // records dropped between this one and the one before it
  std::span<const uint8_t> bytes;  // a copy
  // What was not copied: where the writer left it, and may change it at any moment. To be handed on, not to be believed.
  std::span<const uint8_t> rest;
};

class RecordReader {
 public:
  // Of each record the first `copied` bytes are copied.
  explicit RecordReader(const RecordRing& ring, size_t copied = SIZE_MAX) : ring_(ring), copied_(copied) {}
  RecordReader(RecordReader&&) = default;
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  // The next record, or nothing when there is none now. It is valid until the next call, which gives the room of `rest` back.
  // kCorrupt, from then on, when the ring's contents cannot come from a RecordWriter.
  Result<std::optional<Record>> next();

  // Before sleeping: asks the writer for a wake when `bytes` (at least 1, at most the capacity) are there to be read, or when one
  // was dropped. False: they are there already, do not sleep. One wake per arm(); it may come although the bytes have been read.
  bool arm(uint64_t bytes = 1);

  // Records that were dropped, as far as it is known: those missing before the last one read, and what the writer says.
  [[nodiscard]] uint64_t dropped() const;
  // Of those, the ones after the last record read: no record may follow that could tell of them.
  [[nodiscard]] uint64_t dropped_at_end() const { return dropped() - lost_; }

 private:
  Result<std::optional<Record>> corrupt(const char* what);
  void release();

  const RecordRing& ring_;
  const size_t copied_;
  uint64_t head_ = 0;  // the writer's, as seen last
  uint64_t tail_ = 0;  // all before it has been handed out
  uint64_t next_sequence_ = 0;
  uint64_t lost_ = 0;
  bool corrupt_ = false;
  std::vector<uint8_t> copy_;
};

// A socket pair for wakes. Unlike an eventfd, it tells either side when the other one is gone, and nothing that one side does to
// its end can make a wake block.
struct WakePair {
  UniqueFd writer;
  UniqueFd reader;
};
Result<WakePair> make_wake_pair();

// Takes the wakes that have come. False: the writer is gone, nothing will come any more.
[[nodiscard]] bool drain_wakes(int reader);

}  // namespace adyton::observe
