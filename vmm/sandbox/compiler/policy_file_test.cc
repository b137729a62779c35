#include "vmm/sandbox/compiler/policy_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>

namespace adyton::vmm::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  auto rules = parse_policy("x.policy", text);
  return rules ? "" : rules.error().message;
}

TEST(PolicyFile, HasOneCallPerLine) {
  auto rules = parse_policy("x.policy", "# A policy.\n\nfutex  # locks\n?getpid\t# abort(); needs a fault\n");
  ASSERT_TRUE(rules) << rules.error().message;
  ASSERT_EQ(rules->size(), 2u);
  EXPECT_EQ((*rules)[0].call, "futex");
  EXPECT_EQ((*rules)[0].reason, "locks");
  EXPECT_FALSE((*rules)[0].rare);
  EXPECT_EQ((*rules)[1].call, "getpid");
  EXPECT_TRUE((*rules)[1].rare);
  EXPECT_EQ((*rules)[1].rare_because, "needs a fault");
}

TEST(PolicyFile, ConditionsAreOnArguments) {
  auto rules = parse_policy("x.policy",
                            "mmap prot & PROT_EXEC == 0, arg3 == 0x22 # memory\n"
                            "mmap prot & PROT_EXEC|PROT_WRITE == PROT_EXEC # code");
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_THAT((*rules)[0].conditions, ElementsAre(Condition{2, PROT_EXEC, 0}, Condition{3, UINT64_MAX, 0x22}));
  EXPECT_THAT((*rules)[1].conditions, ElementsAre(Condition{2, PROT_EXEC | PROT_WRITE, PROT_EXEC}));
}

TEST(PolicyFile, ACallMayFailWithAnError) {
  auto rules = parse_policy("x.policy", "clone3 = ENOSYS # glibc then uses clone");
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_EQ((*rules)[0].error, ENOSYS);
}

TEST(PolicyFile, MistakesAreNamedWithTheirLine) {
  EXPECT_THAT(error_of("futex # locks\nread\n"), HasSubstr("x.policy:2: a call needs a comment"));
  EXPECT_THAT(error_of("?getpid # abort()"), HasSubstr("x.policy:1: a call with a question mark needs a comment that ends"));
  EXPECT_THAT(error_of("?getpid # abort(); seldom"), HasSubstr("question mark"));
  EXPECT_THAT(error_of("mmap prot & PROT_EXECUTE == 0 # memory"), HasSubstr("no condition"));
  EXPECT_THAT(error_of("mmap colour == 0 # memory"), HasSubstr("'colour == 0'"));
  EXPECT_THAT(error_of("mmap prot = 0 # memory"), HasSubstr("no condition"));
  EXPECT_THAT(error_of("clone3 = 0 # no"), HasSubstr("not an error number"));
  EXPECT_THAT(error_of("# nothing\n"), HasSubstr("without a call"));
}

}  // namespace
}  // namespace adyton::vmm::sandbox
