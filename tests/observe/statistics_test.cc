// The counts of a running virtual machine, as `adyton top` shows them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

TEST(Statistics, CountTheVsockTrafficOfAVm) {
  Adyton shell = Adyton::shell(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$ADYTON" run --detach --name one "$PROBE" wait >/dev/null || exit 8
         "$ADYTON" exec one -- /missing 2>/dev/null
         "$ADYTON" top --json
         "$ADYTON" delete -f one >/dev/null)sh");
  ASSERT_EQ(shell.finish(), 0) << shell.errors();
  const auto all = nlohmann::json::parse(shell.output());
  ASSERT_EQ(all["vms"].size(), 1u);
  const auto& vsock = all["vms"][0]["statistics"]["vsock"];
  EXPECT_GE(vsock["opened"].get<int>(), 2) << "the payload's, and the exec's";
  EXPECT_GE(vsock["connections"].get<int>(), 1);
  EXPECT_LE(vsock["connections"].get<int>(), vsock["opened"].get<int>());
  EXPECT_GT(vsock["bytes_from_guest"].get<int>(), 0);
  EXPECT_GT(vsock["bytes_to_guest"].get<int>(), 0);
}

}  // namespace
}  // namespace adyton::e2e
