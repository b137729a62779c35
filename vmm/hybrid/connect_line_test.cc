#include "vmm/hybrid/connect_line.h"

#include <gtest/gtest.h>

namespace adyton::vmm::hybrid {
namespace {

using State = ConnectLine::State;

TEST(ConnectLine, KnowsTheWordInAnyCase) {
  EXPECT_EQ(parse_connect("CONNECT 52"), 52u);
  EXPECT_EQ(parse_connect("connect 52"), 52u);
  EXPECT_EQ(parse_connect("CoNnEcT 0"), 0u);
  EXPECT_EQ(parse_connect("CONNECT 4294967295"), 4294967295u);
  EXPECT_EQ(parse_connect(" CONNECT \t 0052 \r"), 52u);
}

TEST(ConnectLine, RefusesAnythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view line :
       {""sv, "CONNECT"sv, "CONNECT "sv, "CONNECT52"sv, "CONNECTED 52"sv, "CONNEC 52"sv, "CONNECT 4294967296"sv, "CONNECT -1"sv,
        "CONNECT +1"sv, "CONNECT 0x10"sv, "CONNECT 1 2"sv, "CONNECT 1\0"sv, "CONN\0ECT 1"sv, "CONNECT 1.5"sv, "GET / HTTP/1.1"sv,
        "CONNECT 99999999999999999999"sv, "\0"sv, "CONNECT \xff"sv}) {
    EXPECT_FALSE(parse_connect(line)) << line;
  }
}

TEST(ConnectLine, TakesNoByteOfWhatFollows) {
  ConnectLine line;
  EXPECT_EQ(line.take("CONN"), 4u);
  EXPECT_EQ(line.state(), State::kIncomplete);
  EXPECT_EQ(line.take("ECT 7\nhello\n"), 6u);
  EXPECT_EQ(line.state(), State::kComplete);
  EXPECT_EQ(line.port(), 7u);
  EXPECT_EQ(line.take("hello"), 0u);
}

TEST(ConnectLine, IsNoLongerThanItsLimit) {
  ConnectLine fits;
  EXPECT_EQ(fits.take("CONNECT " + std::string(20, ' ') + "123\n"), 32u);
  EXPECT_EQ(fits.state(), State::kComplete);
  ConnectLine longer;
  longer.take("CONNECT " + std::string(21, ' ') + "123\n");
  EXPECT_EQ(longer.state(), State::kInvalid);
  ConnectLine endless;
  for (int i = 0; i < 31; ++i) {
    endless.take(" ");
    EXPECT_EQ(endless.state(), State::kIncomplete);
  }
  endless.take(" ");
  EXPECT_EQ(endless.state(), State::kInvalid);
}

}  // namespace
}  // namespace adyton::vmm::hybrid
