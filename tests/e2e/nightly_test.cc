// What takes too long for every change.
#include <gtest/gtest.h>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

TEST(Nightly, AGibibyteArrivesIntact) {
  Adyton adyton = Adyton::shell(R"(head -c 1073741824 /dev/urandom > "$TMPDIR/in" &&
                                   "$ADYTON" run "$PROBE" cat < "$TMPDIR/in" | cmp - "$TMPDIR/in"; code=$?; rm "$TMPDIR/in"; exit $code)");
  EXPECT_EQ(adyton.finish(), 0) << adyton.output() << adyton.errors();
}

}  // namespace
}  // namespace adyton::e2e
