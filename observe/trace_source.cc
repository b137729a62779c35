#include "observe/trace_source.h"

#include <sched.h>
#include <time.h>

namespace adyton::observe {

uint64_t TraceSource::now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void TraceSource::attach(RecordWriter& writer, uint32_t categories) {
  writer_.store(&writer);
  categories_.store(categories);
}

void TraceSource::detach() {
  categories_.store(0);
  // Against write(), which does it in the other order: one of the two sees the other's store.
  writer_.store(nullptr);
  while (writing_.load()) ::sched_yield();
}

void TraceSource::write_bytes(TraceType type, uint64_t time, std::span<const uint8_t> what) {
  writing_.store(true);
  if (RecordWriter* const writer = writer_.load()) writer->write(static_cast<uint32_t>(type), time, what);
  writing_.store(false, std::memory_order_release);
}

}  // namespace adyton::observe
