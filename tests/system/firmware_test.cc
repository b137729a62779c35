// Firmware that we did not write: Debian's u-boot for the "virt" board, which drives the UART, the flash window, the timer, PSCI
// and virtio-mmio by the device tree that we pass.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/adyton.h"

namespace adyton::system_test {
namespace {

constexpr char kUBoot[] = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

TEST(Firmware, UBootReachesItsPromptAndPowersOff) {
  if (!std::filesystem::exists(kUBoot)) GTEST_SKIP() << kUBoot << " is missing; install the package u-boot-qemu";
  e2e::Adyton adyton({"run", "--timeout", "250", "--firmware", kUBoot});
  ASSERT_TRUE(adyton.wait_for("Hit any key to stop autoboot")) << adyton.output();
  adyton.write("\r");
  ASSERT_TRUE(adyton.wait_for("\n=> ")) << adyton.output();
  adyton.write("setexpr answer 6 * 7; printenv answer\r");
  EXPECT_TRUE(adyton.wait_for("answer=2a")) << adyton.output();
  adyton.write("poweroff\r");
  EXPECT_EQ(adyton.finish(), 0) << adyton.output() << adyton.errors();
}

}  // namespace
}  // namespace adyton::system_test
