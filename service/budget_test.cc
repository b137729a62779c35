#include "service/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace adyton::service {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;
const Limits kLimits{.vms = 4, .vms_per_client = 3, .cpus = 8, .memory = 1024 * kMiB};

TEST(Budget, CountsWhatIsTakenAndGivenBack) {
  auto budget = Budget::make(kLimits);
  {
    auto one = *budget->take(1, {.cpus = 2, .memory = 100 * kMiB});
    auto two = *budget->take(1, {.cpus = 3, .memory = 200 * kMiB});
    EXPECT_EQ(budget->usage().vms, 2u);
    EXPECT_EQ(budget->usage().cpus, 5u);
    EXPECT_EQ(budget->usage().memory, 300 * kMiB);
    two = std::move(one);
    EXPECT_EQ(budget->usage().cpus, 2u);
  }
  EXPECT_EQ(budget->usage().vms, 0u);
  EXPECT_EQ(budget->usage().cpus, 0u);
  EXPECT_EQ(budget->usage().memory, 0u);
}

TEST(Budget, NamesTheLimitAndHowToRaiseIt) {
  auto budget = Budget::make(kLimits);
  const auto message = [&](uint64_t client, Demand demand) {
    auto share = budget->take(client, demand);
    EXPECT_FALSE(share);
    EXPECT_EQ(share.error().code, ErrorCode::kExhausted);
    return share.error().message;
  };
  EXPECT_THAT(message(1, {.cpus = 9, .memory = kMiB}), HasSubstr("--max-cpus"));
  EXPECT_THAT(message(1, {.cpus = 1, .memory = 1025 * kMiB}), HasSubstr("max_memory"));
  std::vector<Budget::Share> shares;
  for (int i = 0; i < 3; ++i) shares.push_back(*budget->take(1, {.cpus = 2, .memory = 300 * kMiB}));
  EXPECT_THAT(message(1, {.cpus = 1, .memory = kMiB}), HasSubstr("max_vms_per_client"));
  EXPECT_THAT(message(2, {.cpus = 3, .memory = kMiB}), HasSubstr("max_cpus"));
  EXPECT_THAT(message(2, {.cpus = 1, .memory = 200 * kMiB}), HasSubstr("max_memory"));
  EXPECT_THAT(message(2, {.cpus = UINT32_MAX, .memory = UINT64_MAX}), HasSubstr("max_cpus"));
  EXPECT_THAT(message(2, {.cpus = 1, .memory = UINT64_MAX}), HasSubstr("max_memory"));
  shares.push_back(*budget->take(2, {.cpus = 1, .memory = kMiB}));
  EXPECT_THAT(message(3, {.cpus = 1, .memory = kMiB}), HasSubstr("max_vms "));
}

TEST(Budget, KeepsOneProgramFromTakingAll) {
  Limits limits = kLimits;
  limits.cpus_per_client = 5;
  limits.memory_per_client = 600 * kMiB;
  auto budget = Budget::make(limits);
  const auto message = [&](uint64_t client, Demand demand) {
    auto share = budget->take(client, demand);
    EXPECT_FALSE(share);
    return share ? "" : share.error().message;
  };
  EXPECT_THAT(message(1, {.cpus = 6, .memory = kMiB}), HasSubstr("--max-cpus-per-client"));
  EXPECT_THAT(message(1, {.cpus = 1, .memory = 601 * kMiB}), HasSubstr("max_memory_per_client"));
  auto one = *budget->take(1, {.cpus = 3, .memory = 400 * kMiB});
  EXPECT_THAT(message(1, {.cpus = 3, .memory = kMiB}),
              HasSubstr("the VM's 3 CPUs with the 3 of this program's other VMs are more than 5"));
  EXPECT_THAT(message(1, {.cpus = 1, .memory = 300 * kMiB}),
              HasSubstr("the VM's 300 MiB of memory with the 400 MiB of this program's other VMs are more than 600 MiB"));
  // Another one has a share of its own, and what is given back may be taken again.
  auto other = *budget->take(2, {.cpus = 5, .memory = 600 * kMiB});
  one.reset();
  other.reset();
  EXPECT_TRUE(budget->take(1, {.cpus = 5, .memory = 600 * kMiB}));
}

TEST(Budget, ARefusalTakesNothing) {
  auto budget = Budget::make(kLimits);
  EXPECT_FALSE(budget->take(1, {.cpus = 9, .memory = kMiB}));
  EXPECT_EQ(budget->usage().vms, 0u);
  EXPECT_TRUE(budget->take(1, {.cpus = 8, .memory = 1024 * kMiB}));
}

}  // namespace
}  // namespace adyton::service
