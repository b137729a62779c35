#include "cli/timeline.h"

#include <gtest/gtest.h>

namespace adyton::cli {
namespace {

TEST(Timeline, IsABarChart) {
  const uint64_t ms = 1'000'000;
  EXPECT_EQ(format_timeline({{"spawn", 100 * ms, 110 * ms},
                             {"load", 110 * ms, 110 * ms + 500'000},
                             {"kernel", 110 * ms + 500'000, 180 * ms},
                             {"init", 180 * ms, 200 * ms},
                             {"payload main", 200 * ms, 200 * ms}}),
            "adyton: the start took 100.0 ms\n"
            "  spawn             10.0 ms  #####\n"
            "  load               0.5 ms       #\n"
            "  kernel            69.5 ms       ###################################\n"
            "  init              20.0 ms                                          ##########\n"
            "  payload main     100.0 ms                                                    |\n");
}

TEST(Timeline, TakesWhatItIsGiven) {
  EXPECT_EQ(format_timeline({}, "\r\n"), "adyton: how the start went is not known\r\n");
  EXPECT_EQ(format_timeline({{"spawn", 5, 5}}), "adyton: the start took 0.0 ms\n  spawn              0.0 ms  |\n");
  EXPECT_EQ(format_timeline({{"spawn", 9, 5}, {"load", 0, UINT64_MAX}}).substr(0, 8), "adyton: ");
}

}  // namespace
}  // namespace adyton::cli
