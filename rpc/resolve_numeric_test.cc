// The resolver of static programs.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/resolve.h"

namespace adyton::rpc {
namespace {

TEST(ResolveNumeric, TakesNumbersOfBothKinds) {
  const auto v4 = resolve_tcp({"192.0.2.7", 80}, false);
  ASSERT_TRUE(v4);
  ASSERT_EQ(v4->size(), 1u);
  EXPECT_EQ(v4->front().size, sizeof(sockaddr_in));
  EXPECT_EQ(v4->front().as<sockaddr_in>().sin_addr.s_addr, ::inet_addr("192.0.2.7"));
  EXPECT_EQ(v4->front().as<sockaddr_in>().sin_port, htons(80));
  const auto v6 = resolve_tcp({"2001:db8::7", 443}, false);
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->front().family(), AF_INET6);
  EXPECT_EQ(v6->front().as<sockaddr_in6>().sin6_port, htons(443));
}

TEST(ResolveNumeric, AnEmptyHostIsThisMachine) {
  const auto everywhere = resolve_tcp({"", 1}, true)->front().as<sockaddr_in6>();
  EXPECT_TRUE(IN6_IS_ADDR_UNSPECIFIED(&everywhere.sin6_addr));
  const auto here = resolve_tcp({"", 1}, false)->front().as<sockaddr_in6>();
  EXPECT_TRUE(IN6_IS_ADDR_LOOPBACK(&here.sin6_addr));
}

TEST(ResolveNumeric, NamesAreRefused) {
  for (const char* name : {"localhost", "1.2.3", "1.2.3.4.5", "::1%", "example.org"}) {
    const auto none = resolve_tcp({name, 1}, false);
    ASSERT_FALSE(none) << name;
    EXPECT_THAT(none.error().message, ::testing::HasSubstr("names are not looked up")) << name;
  }
}

}  // namespace
}  // namespace adyton::rpc
