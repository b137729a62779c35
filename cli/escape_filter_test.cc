#include "cli/escape_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace adyton::cli {
namespace {

std::string typed(EscapeFilter& filter, std::string keys) {
  keys.resize(filter({reinterpret_cast<uint8_t*>(keys.data()), keys.size()}));
  return keys;
}

TEST(EscapeFilter, KeysPassAsTheyAre) {
  EscapeFilter filter;
  EXPECT_EQ(typed(filter, "ls ~/x.y\r"), "ls ~/x.y\r");
  EXPECT_EQ(typed(filter, "a~."), "a~.");
  EXPECT_FALSE(filter.left());
}

TEST(EscapeFilter, TildeDotAtTheBeginningOfALineLeaves) {
  EscapeFilter filter;
  EXPECT_EQ(typed(filter, "x\r~"), "x\r~");
  EXPECT_FALSE(filter.left());
  EXPECT_EQ(typed(filter, ".more"), "\x7f");
  EXPECT_TRUE(filter.left());
  EXPECT_EQ(typed(filter, "more"), "");
  EscapeFilter at_once;
  EXPECT_EQ(typed(at_once, "~."), "~\x7f");
  EXPECT_TRUE(at_once.left());
}

TEST(EscapeFilter, TwoTildesAreOne) {
  EscapeFilter filter;
  EXPECT_EQ(typed(filter, "~~."), "~.");
  EXPECT_FALSE(filter.left());
  EXPECT_EQ(typed(filter, "\r~a."), "\r~a.");
  EXPECT_FALSE(filter.left());
}

}  // namespace
}  // namespace adyton::cli
