#include "service/init_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

namespace adyton::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> take(InitWords& words, std::string_view text) {
  return words.take({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

TEST(InitWords, AreFoundHoweverTheyAreCut) {
  const std::string text =
      "[    0.5] Linux\r\n[    1.234567] adyton-init: the clock cannot be set\r\n[    2.0][   T1] adyton-init: two\nadyton-init: "
      "three\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    InitWords words;
    std::vector<std::string> all;
    for (size_t at = 0; at < text.size(); at += step) {
      for (std::string& line : take(words, std::string_view(text).substr(at, step))) all.push_back(std::move(line));
    }
    EXPECT_THAT(all, ElementsAre("adyton-init: the clock cannot be set", "adyton-init: two", "adyton-init: three")) << step;
  }
}

TEST(InitWords, OthersAreLeftOut) {
  InitWords words;
  EXPECT_THAT(take(words, "[ 1.0] he said adyton-init: no\n[ adyton-init: no\nadyton-init\n\n\r\n"), IsEmpty());
  EXPECT_THAT(take(words, "adyton-init: no end yet"), IsEmpty());
}

TEST(InitWords, ALineHasAnEnd) {
  InitWords words;
  EXPECT_THAT(take(words, "adyton-init: " + std::string(1 << 20, 'x')), IsEmpty());
  const auto lines = take(words, "\nadyton-init: next\n");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), InitWords::kMaxLine);
  EXPECT_EQ(lines[1], "adyton-init: next");
}

}  // namespace
}  // namespace adyton::service
