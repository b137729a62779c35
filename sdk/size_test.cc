#include "sdk/size.h"

#include <gtest/gtest.h>

namespace adyton::sdk {
namespace {

TEST(Size, ParsesWhatPeopleWrite) {
  EXPECT_EQ(*parse_size("0"), 0u);
  EXPECT_EQ(*parse_size("4096"), 4096u);
  EXPECT_EQ(*parse_size("16k"), 16u << 10);
  EXPECT_EQ(*parse_size("512M"), 512u << 20);
  EXPECT_EQ(*parse_size("2GiB"), 2ull << 30);
  EXPECT_EQ(*parse_size("3gB"), 3ull << 30);
  EXPECT_EQ(*parse_size("1T"), 1ull << 40);
  EXPECT_EQ(*parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(Size, RefusesTheRest) {
  for (const char* text : {"", "M", "-1", "+1", " 1", "1 ", "1.5G", "1X", "1MM", "1Mi", "0x10", "18446744073709551616",
                           "17179869184G", "99999999999999999999T"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Size, FormatsForPeople) {
  EXPECT_EQ(format_size(0), "0 bytes");
  EXPECT_EQ(format_size(1023), "1023 bytes");
  EXPECT_EQ(format_size(512u << 20), "512 MiB");
  EXPECT_EQ(format_size((1u << 30) + (512u << 20)), "1.5 GiB");
}

}  // namespace
}  // namespace adyton::sdk
