#include "guest/init/modules.h"

#include <gtest/gtest.h>

namespace adyton::guest {
namespace {

TEST(ModuleList, OneModulePerLine) {
  const auto entries = parse_module_list("base /lib/modules/virtio.ko\ndisk /lib/modules/erofs.ko\n\nnonsense\nlast /x");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].group, "base");
  EXPECT_EQ(entries[0].path, "/lib/modules/virtio.ko");
  EXPECT_EQ(entries[1].group, "disk");
  EXPECT_EQ(entries[2].path, "/x");
}

TEST(ModuleList, MayBeEmpty) { EXPECT_TRUE(parse_module_list("").empty()); }

TEST(ModuleLoader, SaysWhichListIsMissing) {
  const auto loader = ModuleLoader::open("/no/such/list");
  ASSERT_FALSE(loader);
  EXPECT_NE(loader.error().message.find("/no/such/list"), std::string::npos);
}

}  // namespace
}  // namespace adyton::guest
