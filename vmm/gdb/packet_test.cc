#include "vmm/gdb/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace adyton::vmm::gdb {
namespace {

using Kind = PacketReader::Kind;

std::vector<Kind> kinds(const std::vector<PacketReader::Event>& events) {
  std::vector<Kind> result;
  for (const auto& event : events) result.push_back(event.kind);
  return result;
}

TEST(GdbPacket, ReadsPacketsInPiecesOfAnySize) {
  const std::string bytes = "+$qC#b4\x03-noise$m0,4#fd";
  PacketReader whole;
  const auto events = whole.feed(bytes);
  EXPECT_THAT(kinds(events), ::testing::ElementsAre(Kind::kAck, Kind::kPacket, Kind::kInterrupt, Kind::kNack, Kind::kPacket));
  EXPECT_EQ(events[1].data, "qC");
  EXPECT_EQ(events[4].data, "m0,4");
  PacketReader pieces;
  std::vector<Kind> seen;
  for (const char c : bytes) {
    for (const auto& event : pieces.feed(std::string_view(&c, 1))) seen.push_back(event.kind);
  }
  EXPECT_EQ(seen, kinds(events));
}

TEST(GdbPacket, AskesForBrokenPacketsAgain) {
  PacketReader reader;
  EXPECT_THAT(kinds(reader.feed("$qC#b5")), ::testing::ElementsAre(Kind::kBroken));
  EXPECT_THAT(kinds(reader.feed("$qC#zz")), ::testing::ElementsAre(Kind::kBroken));
  // The rest was lost, and the next one is whole.
  EXPECT_THAT(kinds(reader.feed("$qC$qC#b4")), ::testing::ElementsAre(Kind::kBroken, Kind::kPacket));
  EXPECT_THAT(kinds(reader.feed("$" + std::string(kMaxPacket + 1, 'a') + "#00")), ::testing::ElementsAre(Kind::kBroken));
  EXPECT_THAT(kinds(reader.feed("$qC#b4")), ::testing::ElementsAre(Kind::kPacket));
}

TEST(GdbPacket, TakesEscapesBack) {
  const std::string bytes("a$b#c}d*e\0f", 11);
  PacketReader reader;
  const auto events = reader.feed(encode_packet(escape_binary(bytes)));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, bytes);
}

TEST(GdbPacket, Hexadecimal) {
  EXPECT_EQ(to_hex(std::string_view("\x00\xff\x1a", 3)), "00ff1a");
  EXPECT_EQ(from_hex("00fF1A"), std::string("\x00\xff\x1a", 3));
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
  EXPECT_EQ(Parser("ffffffffffffffff").number(), UINT64_MAX);
  EXPECT_EQ(Parser("10000000000000000").number(), std::nullopt);
  EXPECT_EQ(Parser("-1").number(), std::nullopt);
}

}  // namespace
}  // namespace adyton::vmm::gdb
