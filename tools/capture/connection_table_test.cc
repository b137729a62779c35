#include "tools/capture/connection_table.h"

#include <gtest/gtest.h>

#include "tools/capture/testing.h"

namespace adyton::capture {
namespace {

using testing::Sent;

struct ConnectionTableTest : ::testing::Test {
  std::string comment(const Sent& sent, uint64_t lost = 0) {
    const auto bytes = testing::record_of(sent);
    return table.comment(*read_packet(testing::read_record(bytes, sent.time)), lost);
  }

  ConnectionTable table;
};

TEST_F(ConnectionTableTest, IsBoundedAndTellsOfRefusals) {
  EXPECT_EQ(comment({.from_host = true, .op = Op::kRequest}), "");
  EXPECT_EQ(comment({.op = Op::kReset}), "connection refused: host port 5000 to guest port 1024");
  EXPECT_EQ(comment({.op = Op::kReset}), "");
  EXPECT_EQ(table.size(), 0u);
  for (uint32_t port = 0; port < ConnectionTable::kMax + 1000; ++port) comment({.guest_port = port, .op = Op::kRequest});
  EXPECT_EQ(table.size(), ConnectionTable::kMax);
  comment({.from_host = true, .guest_port = 3, .op = Op::kReset});
  EXPECT_EQ(comment({.guest_port = 70'000, .op = Op::kRequest, .type = Type::kSeqpacket}), "");
  EXPECT_EQ(comment({.from_host = true, .guest_port = 70'000, .op = Op::kResponse, .type = Type::kSeqpacket}),
            "connection opened: guest port 70000 to host port 5000, seqpacket");
}

TEST_F(ConnectionTableTest, TellsWhatItDidNotSeeTheBeginningOf) {
  const uint64_t time = Sent().time;
  EXPECT_EQ(comment({.payload = "hello"}), "");
  EXPECT_EQ(comment({.from_host = true, .op = Op::kShutdown, .flags = 3}), "");
  EXPECT_EQ(comment({.op = Op::kReset, .time = time + 2'000'000'000}),
            "connection closed: host port 5000 and guest port 1024, began "
            "before the capture; at least 5 bytes from the guest, at "
            "least 0 bytes from the host, at least 2.000000 s");
  // Linux guests reset twice; and credit may be on its way.
  EXPECT_EQ(comment({.op = Op::kReset}), "");
  EXPECT_EQ(comment({.from_host = true, .op = Op::kCreditUpdate}), "");
  EXPECT_EQ(table.size(), 0u);
  // The first that is seen of one may be its end, or the answer to its request.
  EXPECT_EQ(comment({.guest_port = 7, .op = Op::kReset}),
            "connection closed: host port 5000 and guest port 7, began before "
            "the capture; at least 0 bytes from the guest, at "
            "least 0 bytes from the host, at least 0.000000 s");
  EXPECT_EQ(comment({.from_host = true, .guest_port = 8, .op = Op::kResponse}),
            "connection opened: guest port 8 to host port 5000");
  // Ports are used again.
  EXPECT_EQ(comment({.op = Op::kRequest}), "");
  EXPECT_EQ(comment({.from_host = true, .op = Op::kResponse}), "connection opened: guest port 1024 to host port 5000");
  EXPECT_EQ(comment({.op = Op::kReset}),
            "connection closed: guest port 1024 to host port 5000; 0 bytes "
            "from the guest, 0 bytes from the host, 0.000000 s");
}

TEST_F(ConnectionTableTest, CountsNoMoreThanItSawWhenPacketsWereDropped) {
  comment({.op = Op::kRequest});
  comment({.from_host = true, .op = Op::kResponse});
  comment({.payload = "hello"});
  EXPECT_EQ(comment({.guest_port = 9, .payload = "of one whose request was dropped"}, 3), "");
  comment({.payload = "again"});
  EXPECT_EQ(comment({.from_host = true, .op = Op::kReset}),
            "connection closed: guest port 1024 to host port 5000; at least 10 "
            "bytes from the guest, at least 0 bytes from the "
            "host, 0.000000 s");
  EXPECT_EQ(comment({.guest_port = 9, .op = Op::kReset}),
            "connection closed: host port 5000 and guest port 9, its beginning "
            "is not in the capture; at least 32 bytes from the "
            "guest, at least 0 bytes from the host, at least 0.000000 s");
  // What comes later is whole again. Whether one was refused whose answer may have been dropped is not known.
  comment({.op = Op::kRequest});
  comment({.op = Op::kRequest, .time = 0}, 0);
  EXPECT_EQ(comment({.from_host = true, .op = Op::kReset}), "connection refused: guest port 1024 to host port 5000");
  comment({.op = Op::kRequest});
  EXPECT_EQ(comment({.from_host = true, .op = Op::kReset}, 1),
            "connection closed: guest port 1024 to host port 5000; at least 0 "
            "bytes from the guest, at least 0 bytes from the "
            "host, 0.000000 s");
}

TEST_F(ConnectionTableTest, KnowsNotMoreThanTheLastEnds) {
  for (uint32_t port = 0; port < 3 * ConnectionTable::kMaxEnded; ++port)
    EXPECT_NE(comment({.guest_port = port, .op = Op::kReset}), "");
  EXPECT_EQ(comment({.guest_port = 3 * ConnectionTable::kMaxEnded - 1, .op = Op::kReset}), "");
  EXPECT_NE(comment({.guest_port = 0, .op = Op::kReset}), "");
}

}  // namespace
}  // namespace adyton::capture
