#include "service/cid_allocator.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

TEST(CidAllocator, GivesNoNumberTwice) {
  TemporaryDirectory directory;
  CidAllocator cids(directory.path("cid"));
  EXPECT_EQ(*cids.allocate(), 2048u);
  EXPECT_EQ(*cids.allocate(), 2049u);
  cids.release(2048);
  EXPECT_EQ(*cids.allocate(), 2050u);
}

TEST(CidAllocator, GoesOnWhereTheLastOneStopped) {
  TemporaryDirectory directory;
  EXPECT_EQ(*CidAllocator(directory.path("cid")).allocate(), 2048u);
  EXPECT_EQ(*CidAllocator(directory.path("cid")).allocate(), 2049u);
}

TEST(CidAllocator, DoesWithoutItsFile) {
  TemporaryDirectory directory;
  for (const char* text : {"", "nonsense", "7", "99999", "-1"}) {
    std::ofstream(directory.path("cid")) << text;
    EXPECT_EQ(*CidAllocator(directory.path("cid")).allocate(), 2048u) << text;
  }
  EXPECT_EQ(*CidAllocator(directory.path("no/such/folder")).allocate(), 2048u);
}

TEST(CidAllocator, StartsOverAtTheEndAndSaysWhenAllAreTaken) {
  TemporaryDirectory directory;
  std::ofstream(directory.path("cid")) << "65534";
  CidAllocator cids(directory.path("cid"));
  EXPECT_EQ(*cids.allocate(), 65535u);
  EXPECT_EQ(*cids.allocate(), 2048u);
  for (uint32_t i = 2049; i <= 65534; ++i) ASSERT_EQ(*cids.allocate(), i);
  EXPECT_EQ(cids.allocate().error().code, ErrorCode::kExhausted);
  cids.release(3000);
  EXPECT_EQ(*cids.allocate(), 3000u);
}

}  // namespace
}  // namespace adyton::service
