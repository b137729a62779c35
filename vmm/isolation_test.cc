#include "vmm/isolation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace adyton::vmm {
namespace {

using hypervisor::IsolationLevel;

TEST(Isolation, OnlyAGuestWithNoneMayBeLookedInto) {
  EXPECT_TRUE(check_may_be("dumped", IsolationLevel::kNone));
  for (const IsolationLevel level : {IsolationLevel::kProcess, IsolationLevel::kHypervisor}) {
    const auto refused = check_may_be("dumped", level);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kPermission);
    EXPECT_THAT(refused.error().message, ::testing::HasSubstr("cannot be dumped"));
    EXPECT_THAT(refused.error().message, ::testing::HasSubstr(std::string(to_string(level))));
  }
}

}  // namespace
}  // namespace adyton::vmm
