#include "service/byte_ring.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

namespace adyton::service {
namespace {

void append(ByteRing& ring, std::string_view text) { ring.append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

TEST(ByteRing, KeepsTheLastBytes) {
  ByteRing ring(4);
  EXPECT_EQ(ring.tail(10), "");
  append(ring, "abc");
  EXPECT_EQ(ring.begin(), 0u);
  EXPECT_EQ(ring.tail(10), "abc");
  append(ring, "def");
  EXPECT_EQ(ring.begin(), 2u);
  EXPECT_EQ(ring.end(), 6u);
  EXPECT_EQ(ring.tail(10), "cdef");
  EXPECT_EQ(ring.tail(2), "ef");
}

TEST(ByteRing, TakesMoreThanItHolds) {
  ByteRing ring(4);
  append(ring, "a");
  append(ring, "0123456789");
  EXPECT_EQ(ring.end(), 11u);
  EXPECT_EQ(ring.tail(10), "6789");
}

TEST(ByteRing, HasNothingOutsideItsBounds) {
  ByteRing ring(4);
  append(ring, "abcdef");
  EXPECT_TRUE(ring.piece_at(1).empty());
  EXPECT_TRUE(ring.piece_at(6).empty());
  EXPECT_TRUE(ring.piece_at(UINT64_MAX).empty());
  EXPECT_EQ(ring.piece_at(5)[0], 'f');
}

TEST(ByteRing, AgreesWithAString) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  ByteRing ring(257);
  std::string all;
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 400, '\0');
    for (char& c : text) c = static_cast<char>(random());
    append(ring, text);
    all += text;
    ASSERT_EQ(ring.end(), all.size());
    const size_t size = random() % 300;
    const size_t kept = std::min<size_t>({size, 257, all.size()});
    ASSERT_EQ(ring.tail(size), all.substr(all.size() - kept));
  }
}

}  // namespace
}  // namespace adyton::service
