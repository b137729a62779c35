#include "observe/trace_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/thread.h"

namespace adyton::observe {
namespace {

struct Ring {
  UniqueFd memory = *RecordRing::make_memory(1 << 16);
  RecordRing ring = *RecordRing::map(memory.get());
  RecordWriter writer{ring};
  RecordReader reader{ring};
};

TEST(TraceSource, WritesNothingUnlessItIsAskedTo) {
  TraceSource source;
  EXPECT_FALSE(source.wants(TraceCategory::kVcpu));
  source.write(TraceType::kGuestEnter);  // goes nowhere
  Ring ring;
  source.attach(ring.writer, static_cast<uint32_t>(TraceCategory::kVirtio));
  EXPECT_FALSE(source.wants(TraceCategory::kVcpu));
  EXPECT_TRUE(source.wants(TraceCategory::kVirtio));
  EXPECT_FALSE(*ring.reader.next());
}

TEST(TraceSource, WritesWhatItIsGivenWithTheTime) {
  Ring ring;
  TraceSource source;
  source.attach(ring.writer, kAllTraceCategories);
  const uint64_t before = TraceSource::now();
  source.write(TraceType::kQueueKick, TraceQueue{.queue = 7});
  const uint64_t after = TraceSource::now();
  const auto record = *ring.reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->type, static_cast<uint32_t>(TraceType::kQueueKick));
  EXPECT_GE(record->time, before);
  EXPECT_LE(record->time, after);
  TraceQueue queue;
  ASSERT_EQ(record->bytes.size(), sizeof(queue));
  std::memcpy(&queue, record->bytes.data(), sizeof(queue));
  EXPECT_EQ(queue.queue, 7u);
  source.detach();
  EXPECT_FALSE(source.wants(TraceCategory::kVirtio));
  source.write(TraceType::kRaised);
  EXPECT_FALSE(*ring.reader.next());
}

// Whatever thread it happens on: after detach() nothing is written any more, and the writer may go.
TEST(TraceSource, IsDetachedWhileItsThreadWrites) {
  TraceSource source;
  std::atomic<bool> over = false;
  auto thread = start_thread("tracer", [&] {
    while (!over.load()) {
      if (source.wants(TraceCategory::kVcpu)) source.write(TraceType::kGuestEnter);
    }
  });
  ASSERT_TRUE(thread);
  for (int round = 0; round < 200; ++round) {
    auto ring = std::make_unique<Ring>();
    source.attach(ring->writer, kAllTraceCategories);
    while (!*ring->reader.next()) {}
    source.detach();
    const uint64_t written = ring->writer.written();
    EXPECT_GT(written, 0u);
    EXPECT_EQ(ring->writer.written(), written);
  }
  over = true;
}

}  // namespace
}  // namespace adyton::observe
