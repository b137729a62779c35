#include "tools/trace/memory_watch.h"

#include <gmock/gmock.h>

#include "tools/trace/testing.h"

namespace adyton::trace {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::TextWriter;

constexpr uint64_t kSecond = 1'000'000'000;

struct MemoryWatchTest : ::testing::Test {
  std::optional<uint64_t> stalled = 500;
  std::optional<GuestMemory> guest;
  TextWriter writer;
  TrackId next = 7;
  MemoryWatch watch{writer, next, {.stalled = [this] { return stalled; }, .guest = [this] { return guest; }}};
};

TEST_F(MemoryWatchTest, CountsTheHostsPressureAndMarksWhatIsMuch) {
  ASSERT_TRUE(watch.look(kSecond));
  EXPECT_THAT(writer.lines, IsEmpty()) << "nothing to compare with";
  *stalled += 49'000;  // of a second's million
  ASSERT_TRUE(watch.look(2 * kSecond));
  *stalled += 50'000;
  ASSERT_TRUE(watch.look(3 * kSecond));
  *stalled += 9'000'000;  // several waited at once; the kernel does not count so, and no share is more than all
  ASSERT_TRUE(watch.look(4 * kSecond));
  *stalled = 0;
  ASSERT_TRUE(watch.look(5 * kSecond));
  EXPECT_THAT(writer.lines, ElementsAre("host memory pressure, per mille of the time +2000000000 counter 49",
                                        "host memory pressure, per mille of the time +3000000000 counter 50",
                                        "process +3000000000 instant memory memory pressure per mille of the time=50",
                                        "host memory pressure, per mille of the time +4000000000 counter 1000",
                                        "process +4000000000 instant memory memory pressure per mille of the time=1000",
                                        "host memory pressure, per mille of the time +5000000000 counter 0"));
}

TEST_F(MemoryWatchTest, LooksNoMoreOftenThanItSays) {
  int guest_asked = 0;
  int host_asked = 0;
  MemoryWatch other{writer,
                    next,
                    {.stalled = [&]() -> std::optional<uint64_t> { return ++host_asked; },
                     .guest = [&]() -> std::optional<GuestMemory> { return ++guest_asked, std::nullopt; }}};
  for (uint64_t time = 0; time <= kSecond; time += kSecond / 100) ASSERT_TRUE(other.look(time));
  EXPECT_EQ(host_asked, 11);
  EXPECT_EQ(guest_asked, 3);
  ASSERT_TRUE(other.finish(kSecond + 1));
  EXPECT_EQ(host_asked, 12) << "but at the end once more";
  EXPECT_EQ(guest_asked, 4);
  ASSERT_TRUE(other.finish(kSecond + 1));
  EXPECT_EQ(host_asked, 12) << "no time has gone by";
}

TEST_F(MemoryWatchTest, TellsOfTheBalloonAndOfWhatTheGuestHas) {
  stalled.reset();
  ASSERT_TRUE(watch.look(0));
  EXPECT_THAT(writer.lines, IsEmpty()) << "neither tells";
  guest = {.balloon_target = 0, .balloon = 0, .free = 300, .available = {}};
  ASSERT_TRUE(watch.look(kSecond));
  EXPECT_THAT(writer.lines, ElementsAre("balloon target, bytes +1000000000 counter 0", "balloon, bytes +1000000000 counter 0",
                                        "guest memory free, bytes +1000000000 counter 300"));
  guest = {.balloon_target = 4096, .balloon = 0, .free = 300, .available = 400};
  ASSERT_TRUE(watch.look(2 * kSecond));
  EXPECT_THAT(writer.lines, Contains("process +2000000000 instant memory balloon target bytes=4096"));
  EXPECT_THAT(writer.lines, Contains("guest memory available, bytes +2000000000 counter 400"));
  EXPECT_THAT(writer.lines, Not(Contains(HasSubstr("memory balloon bytes="))));
  guest->balloon = 4096;
  ASSERT_TRUE(watch.look(3 * kSecond));
  EXPECT_THAT(writer.lines, Contains("process +3000000000 instant memory balloon bytes=4096"));
  EXPECT_EQ(next, 11u) << "a track for each counter, once";
}

}  // namespace
}  // namespace adyton::trace
