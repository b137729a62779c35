// A VM that lives long, about which many commands are given: none of them leaves anything behind in the service or in its
// process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

TEST(LongLife, CommandsLeaveNothingBehind) {
  Adyton shell = Adyton::shell(R"sh(
cd "$TMPDIR"
"$ADYTON" run --detach --rm --name lives "$1" flood > /dev/null
vmm=$("$ADYTON" info --json lives | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1)
service=$(cut -d ' ' -f 4 "/proc/$vmm/stat")
count() { for pid in $service $vmm; do echo "$(cat /proc/$pid/comm): $(ls /proc/$pid/fd | wc -l) descriptors, $(ls /proc/$pid/task | wc -l) threads"; done; }
echo words > file
round() {
  "$ADYTON" exec lives -- /payload/probe args x > /dev/null
  "$ADYTON" list > /dev/null
  "$ADYTON" capture lives -q -c 10 -w packets
  "$ADYTON" trace lives -q -d 0.01 -o trace
  "$ADYTON" cp file lives:/tmp/file
  "$ADYTON" cp lives:/tmp/file - > /dev/null
  "$ADYTON" logs --tail 1 lives | wc -l > /dev/null
  "$ADYTON" dump lives -o core > /dev/null
  "$ADYTON" suspend lives
  "$ADYTON" resume lives
  rm -f packets trace core
}
round "$1" > /dev/null 2>&1 || true
before=$(count)
for i in 1 2 3 4 5; do round "$1" || echo "round $i failed"; done
# The last session's end may be under way.
until [ "$(count)" = "$before" ]; do :; done
echo "$before"
"$ADYTON" kill lives
)sh",
                               {probe()});
  EXPECT_EQ(shell.finish(), 0) << shell.errors();
  EXPECT_THAT(shell.output(),
              ::testing::ContainsRegex("adytond: [0-9]+ descriptors, [0-9]+ threads\nadyton-vmm: [0-9]+ descriptors"));
  EXPECT_THAT(shell.output(), ::testing::Not(::testing::HasSubstr("failed"))) << shell.errors();
}

}  // namespace
}  // namespace adyton::e2e
