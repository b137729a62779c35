#include "base/adaptive_poll.h"

#include <gtest/gtest.h>

namespace adyton {
namespace {

TEST(AdaptivePoll, FollowsWhatHappened) {
  AdaptivePoll poll;
  EXPECT_EQ(poll.window(), 0u);
  poll.waited(20'000);
  EXPECT_EQ(poll.window(), AdaptivePoll::kFirstWindow) << "a short sleep was worth polling";
  poll.waited(5'000);
  EXPECT_EQ(poll.window(), AdaptivePoll::kFirstWindow) << "it was";
  for (int i = 0; i < 10; ++i) poll.waited(AdaptivePoll::kMaxWindow);
  EXPECT_EQ(poll.window(), AdaptivePoll::kMaxWindow);
  poll.waited(4'000'000);
  EXPECT_EQ(poll.window(), 0u) << "idle";
}

}  // namespace
}  // namespace adyton
