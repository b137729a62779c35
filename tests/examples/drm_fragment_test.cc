// The fragment parser of examples/drm-player: what it takes, and that nothing else does harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fragment.h"

namespace drm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Bytes box(const std::string& type, const Bytes& body) {
  const auto size = static_cast<uint32_t>(body.size() + 8);
  const Bytes bytes{static_cast<uint8_t>(size >> 24), static_cast<uint8_t>(size >> 16), static_cast<uint8_t>(size >> 8),
                    static_cast<uint8_t>(size)};
  return bytes + Bytes(type.begin(), type.end()) + body;
}

// Two frames, of 6 and 3 bytes; the first is encrypted from its fifth byte on.
Bytes fragment(const Bytes& data = {0, 0, 0, 2, 0x65, 1, 7, 8, 9}) {
  const Bytes run{0, 0, 2, 5, 0, 0, 0, 2, 0, 0, 0, 8, 1, 1, 1, 1, 0, 0, 0, 6, 0, 0, 0, 3};
  const Bytes encryption =
      Bytes{0, 0, 0, 2, 0, 0, 0, 2} + Bytes{1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 5, 0, 0, 0, 1} + Bytes{9, 9, 9, 9, 9, 9, 9, 9, 0, 0};
  return box("styp", {}) +
         box("moof", box("mfhd", Bytes(8)) + box("traf", box("tfhd", Bytes(8)) + box("trun", run) + box("senc", encryption))) +
         box("mdat", data);
}

TEST(DrmFragment, FindsFramesAndTheirParts) {
  const Bytes bytes = fragment();
  const auto frames = read_fragment(bytes, 8);
  ASSERT_TRUE(frames) << frames.error().message;
  ASSERT_EQ(frames->size(), 2u);
  EXPECT_THAT((*frames)[0].bytes, ElementsAre(0, 0, 0, 2, 0x65, 1));
  EXPECT_THAT((*frames)[0].iv, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  ASSERT_EQ((*frames)[0].subsamples.size(), 1u);
  EXPECT_EQ((*frames)[0].subsamples[0].clear, 5u);
  EXPECT_EQ((*frames)[0].subsamples[0].encrypted, 1u);
  EXPECT_THAT((*frames)[1].bytes, ElementsAre(7, 8, 9));
  EXPECT_TRUE((*frames)[1].subsamples.empty());
  EXPECT_EQ(count_nal_units((*frames)[0].bytes), 1);
  EXPECT_THAT(count_nal_units((*frames)[1].bytes).error().message, HasSubstr("ends in the middle"));
}

TEST(DrmFragment, RefusesWhatDoesNotAddUp) {
  EXPECT_THAT(read_fragment({}, 8).error().message, "there is no box 'moof'");
  EXPECT_THAT(read_fragment(fragment({1, 2, 3}), 8).error().message, "the frames are larger than the fragment's data");
  EXPECT_THAT(read_fragment(fragment(Bytes(10)), 8).error().message, "there is data that belongs to no frame");
  EXPECT_THAT(read_fragment(fragment() + fragment(), 8).error().message, "there are two boxes 'moof'");
  EXPECT_FALSE(read_fragment(fragment(), 16));
  EXPECT_EQ(count_nal_units(Bytes{0, 0, 0, 0}).error().message, "a frame is no sequence of NAL units");
}

TEST(DrmFragment, SurvivesAnyBytes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Bytes good = fragment();
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(read_fragment(std::span(good).first(size), 8)) << size;
  for (int round = 0; round < 20'000; ++round) {
    Bytes bad = good;
    for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<uint8_t>(random());
    const auto frames = read_fragment(bad, 8);
    if (!frames) continue;
    for (const EncryptedFrame& frame : *frames) {
      EXPECT_GE(frame.bytes.data(), bad.data());
      EXPECT_LE(frame.bytes.data() + frame.bytes.size(), bad.data() + bad.size());
    }
  }
}

}  // namespace
}  // namespace drm
