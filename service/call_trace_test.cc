#include "service/call_trace.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "observe/trace_record.h"

namespace adyton::service {
namespace {

struct CallTraceTest : ::testing::Test {
  UniqueFd memory = *observe::RecordRing::make_memory(4096);
  observe::RecordRing ring = *observe::RecordRing::map(memory.get());
  observe::RecordReader reader{ring};
  CallTrace trace;
};

TEST_F(CallTraceTest, TellsTheCallsWhileItIsRead) {
  const CallTrace::Call call{.interface = "adyton.virtualizationservice.IVirtualMachine",
                             .method = "getInfo",
                             .begin = 100,
                             .end = 170,
                             .succeeded = true,
                             .from_guest = true};
  trace.served(call);
  EXPECT_FALSE(*reader.next());
  auto wake = trace.start(memory.get());
  ASSERT_TRUE(wake) << wake.error().message;
  trace.served(call);
  const auto record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->type, static_cast<uint32_t>(observe::TraceType::kCall));
  EXPECT_EQ(record->time, 170u);
  observe::TraceCall start;
  ASSERT_GT(record->bytes.size(), sizeof(start));
  std::memcpy(&start, record->bytes.data(), sizeof(start));
  EXPECT_EQ(start.begin, 100u);
  EXPECT_EQ(start.succeeded, 1u);
  EXPECT_EQ(start.oneway, 0u);
  EXPECT_EQ(start.from_guest, 1u);
  const auto name = record->bytes.subspan(sizeof(start));
  EXPECT_EQ(std::string(name.begin(), name.end()), "IVirtualMachine.getInfo");
  EXPECT_EQ(trace.start(memory.get()).error().code, ErrorCode::kExhausted);
  wake->reset();
  trace.served(call);
  EXPECT_FALSE(*reader.next());
}

TEST_F(CallTraceTest, BeginsAgainWhenTheReaderIsGone) {
  auto wake = trace.start(memory.get());
  ASSERT_TRUE(wake);
  wake->reset();
  EXPECT_TRUE(trace.start(memory.get()));
  EXPECT_EQ(trace.start(-1).error().code, ErrorCode::kCorrupt);
}

// A name is no way to a large record.
TEST_F(CallTraceTest, NamesAreCut) {
  const auto wake = trace.start(memory.get());
  trace.served({.interface = std::string(1000, 'i'), .method = std::string(1000, 'm'), .begin = 1, .end = 2});
  const auto record = *reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->bytes.size(), sizeof(observe::TraceCall) + observe::kMaxTraceCallName);
}

}  // namespace
}  // namespace adyton::service
