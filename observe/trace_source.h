// Where one thread's trace records come from. While nobody traces, asking whether to write one is a load and a branch that is
// always the same.
//
//   if (trace.wants(TraceCategory::kVirtio)) [[unlikely]] trace.write(TraceType::kQueueKick, TraceQueue{.queue = index});
//
// Threading: wants() and write() belong to one thread at a time; attach() and detach() to another one. write() never waits;
// detach() waits for the one that is in progress, a copy of some bytes.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "observe/record_ring.h"
#include "observe/trace_record.h"

namespace adyton::observe {

class TraceSource {
 public:
  TraceSource() = default;
  ~TraceSource() { detach(); }
  TraceSource(const TraceSource&) = delete;
  TraceSource& operator=(const TraceSource&) = delete;

  [[nodiscard]] bool wants(TraceCategory category) const {
    return (categories_.load(std::memory_order_relaxed) & static_cast<uint32_t>(category)) != 0;
  }

  // Nanoseconds of CLOCK_MONOTONIC.
  [[nodiscard]] static uint64_t now();

  void write(TraceType type) { write_bytes(type, now(), {}); }
  template <typename T>
  void write(TraceType type, const T& what, uint64_t time = now()) {
    static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
    write_bytes(type, time, std::span(reinterpret_cast<const uint8_t*>(&what), sizeof(what)));
  }

  // Records of these categories go to `writer` from now on, until detach(). Not while it is attached.
  void attach(RecordWriter& writer, uint32_t categories);
  // The writer is not used any more when this returns.
  void detach();

 private:
  void write_bytes(TraceType type, uint64_t time, std::span<const uint8_t> what);

  std::atomic<uint32_t> categories_ = 0;
  std::atomic<bool> writing_ = false;
  std::atomic<RecordWriter*> writer_ = nullptr;
};

}  // namespace adyton::observe
