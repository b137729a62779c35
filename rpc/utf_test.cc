#include "rpc/utf.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace adyton::rpc {
namespace {

TEST(Utf, EveryCharacterComesBack) {
  for (char32_t character = 0; character <= 0x10'ffff; ++character) {
    if (character >= 0xd800 && character <= 0xdfff) continue;
    std::u16string utf16;
    if (character < 0x10000) {
      utf16.push_back(static_cast<char16_t>(character));
    } else {
      utf16.push_back(static_cast<char16_t>(0xd7c0 + (character >> 10)));
      utf16.push_back(static_cast<char16_t>(0xdc00 | (character & 0x3ff)));
    }
    const auto utf8 = utf8_from_utf16(utf16);
    ASSERT_TRUE(utf8) << static_cast<uint32_t>(character);
    ASSERT_EQ(utf8->size(), character < 0x80 ? 1u : character < 0x800 ? 2u : character < 0x10000 ? 3u : 4u);
    ASSERT_EQ(utf16_from_utf8(*utf8), utf16) << static_cast<uint32_t>(character);
  }
}

TEST(Utf, IsAsTheStandardSays) {
  EXPECT_EQ(utf8_from_utf16(u"aé€😀"), "aé€😀");
  EXPECT_EQ(utf16_from_utf8("aé€😀"), u"aé€😀");
  EXPECT_EQ(utf16_from_utf8(std::string_view("a\0b", 3)), std::u16string_view(u"a\0b", 3));
}

TEST(Utf, IllFormedUtf8IsRefused) {
  for (const std::string_view text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf",
                                      "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xfe", "\xff"}) {
    EXPECT_FALSE(utf16_from_utf8(text)) << testing::PrintToString(text);
    EXPECT_NE(utf16_from_utf8_lossy(text).find(u'\xfffd'), std::u16string::npos);
  }
  EXPECT_EQ(utf16_from_utf8_lossy("a\xffz"), u"a\xfffdz");
}

TEST(Utf, UnpairedSurrogatesAreRefused) {
  for (const std::u16string_view text : {u"\xd800", u"\xdfff", u"\xd800x", u"x\xdbff", u"\xdc00\xd800", u"\xd800\xd800\xdc00"}) {
    EXPECT_FALSE(utf8_from_utf16(text));
    EXPECT_NE(utf8_from_utf16_lossy(text).find("\xef\xbf\xbd"), std::string::npos);
  }
}

}  // namespace
}  // namespace adyton::rpc
