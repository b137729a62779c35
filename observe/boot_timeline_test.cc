#include "observe/boot_timeline.h"

#include <gmock/gmock.h>

#include <random>

namespace adyton::observe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BootTimeline, PhasesFollowEachOther) {
  EXPECT_THAT(boot_phases({.begin = 100, .configuring = 110, .running = 150, .hello = 400, .init_age = 20, .payload = 450}),
              ElementsAre(BootPhase{"spawn", 100, 110}, BootPhase{"load", 110, 150}, BootPhase{"kernel", 150, 380},
                          BootPhase{"init", 380, 450}, BootPhase{"payload main", 450, 450}));
}

TEST(BootTimeline, HasWhatIsOver) {
  EXPECT_THAT(boot_phases({}), IsEmpty());
  EXPECT_THAT(boot_phases({.begin = 100}), IsEmpty());
  EXPECT_THAT(boot_phases({.begin = 100, .configuring = 110, .running = 150}),
              ElementsAre(BootPhase{"spawn", 100, 110}, BootPhase{"load", 110, 150}));
  EXPECT_THAT(boot_phases({.begin = 100, .configuring = 110, .running = 150, .hello = 200}),
              ElementsAre(BootPhase{"spawn", 100, 110}, BootPhase{"load", 110, 150}, BootPhase{"kernel", 150, 200}));
}

TEST(BootTimeline, TimesThatCannotBeDoNotMislead) {
  EXPECT_THAT(boot_phases({.begin = 100, .configuring = 5, .running = 4000, .hello = 400, .init_age = 9999, .payload = 450}),
              ElementsAre(BootPhase{"spawn", 100, 100}, BootPhase{"load", 100, 450}, BootPhase{"kernel", 450, 450},
                          BootPhase{"init", 450, 450}, BootPhase{"payload main", 450, 450}));
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto any = [&] { return random() % 4 == 0 ? random() : random() % 1000; };
  for (int round = 0; round < 10'000; ++round) {
    const BootTimes times{
        .begin = 1 + any() / 2, .configuring = any(), .running = any(), .hello = any(), .init_age = any(), .payload = any()};
    uint64_t end = times.begin;
    for (const BootPhase& phase : boot_phases(times)) {
      EXPECT_EQ(phase.begin, end);
      EXPECT_GE(phase.end, phase.begin);
      end = phase.end;
    }
  }
}

}  // namespace
}  // namespace adyton::observe
