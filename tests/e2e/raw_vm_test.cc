// A VM of the user's own: kernel or firmware, with the serial console on our streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;

TEST(RawVm, HasTheConsoleOnItsStreams) {
  const Finished done = run({"--kernel", raw_kernel()}, "hello");
  EXPECT_EQ(done.output, "raw> hello");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.errors, "");
}

TEST(RawVm, AResetEndsItWithAnError) {
  const Finished done = run({"--kernel", raw_kernel()}, "r");
  EXPECT_EQ(done.code, 125);
  EXPECT_EQ(done.errors, "adyton: the guest reset itself, the VM was ended\n");
}

TEST(RawVm, APanicIsNamed) {
  const Finished done = run({"--kernel", raw_kernel()}, "p");
  EXPECT_EQ(done.code, 125);
  EXPECT_THAT(done.output, HasSubstr("Kernel panic"));
  EXPECT_EQ(done.errors, "adyton: the guest's kernel panicked: as asked\n");
}

TEST(RawVm, AWatchdogThatNobodyServesEndsIt) {
  const char* const why = "adyton: the guest hangs: nobody has refreshed its watchdog in time\n";
  // From the start on, as this kernel knows of none.
  Adyton idle({"run", "--watchdog", "1", "--kernel", raw_kernel()});
  EXPECT_EQ(idle.finish(), 125);
  EXPECT_EQ(idle.errors(), why);
  // In the guest's own time.
  const Finished hung = run({"--watchdog", "3600", "--kernel", raw_kernel()}, "w");
  EXPECT_EQ(hung.code, 125);
  EXPECT_EQ(hung.errors, why);
  // Without one there is nothing at that place.
  Adyton none({"run", "--kernel", raw_kernel()});
  none.write("w");
  ASSERT_TRUE(none.wait_for("raw> w"));
  none.signal(SIGINT);
  EXPECT_EQ(none.finish(), 130);
}

TEST(RawVm, CtrlAXEndsItOnATerminal) {
  Adyton adyton({"run", "--kernel", raw_kernel()}, Streams::kTerminal);
  ASSERT_TRUE(adyton.wait_for("raw> "));
  adyton.write(
      "a\x01\x01"
      "b");
  EXPECT_TRUE(
      adyton.wait_for("raw> a\x01"
                      "b"));
  adyton.write("\x01x");
  EXPECT_EQ(adyton.finish(), 0);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(RawVm, AnInterruptEndsIt) {
  Adyton adyton({"run", "--kernel", raw_kernel()});
  ASSERT_TRUE(adyton.wait_for("raw> "));
  adyton.signal(SIGINT);
  EXPECT_EQ(adyton.finish(), 130);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(RawVm, TheConsoleLogHasACopy) {
  TemporaryFolder folder;
  const std::string log = folder.path() + "/console";
  EXPECT_EQ(run({"--kernel", raw_kernel(), "--console-log", log}, "o").code, 0);
  EXPECT_EQ(contents(log), "raw> o");
}

TEST(RawVm, AnInitrdLargerThanMemoryIsRefused) {
  TemporaryFolder folder;
  const Finished done =
      run({"--memory", "64M", "--kernel", raw_kernel(), "--initrd", folder.write("initrd", std::string(size_t{80} << 20, 'i'))});
  EXPECT_EQ(done.code, 125);
  EXPECT_TRUE(done.errors.starts_with("adyton: ")) << done.errors;
  EXPECT_THAT(done.errors, HasSubstr("initrd"));
}

TEST(RawVm, ADiskIsUsedByOneVmAtATime) {
  TemporaryFolder folder;
  const std::string disk = folder.write("disk.img", std::string(1 << 20, '\0'));
  Adyton first({"run", "--kernel", raw_kernel(), "--disk", disk});
  ASSERT_TRUE(first.wait_for("raw> "));
  const Finished second = run({"--kernel", raw_kernel(), "--disk", disk}, "o");
  EXPECT_EQ(second.code, 125);
  EXPECT_THAT(second.errors, HasSubstr("in use"));
  first.write("o");
  EXPECT_EQ(first.finish(), 0);
  EXPECT_EQ(run({"--kernel", raw_kernel(), "--disk", disk}, "o").code, 0);
}

TEST(RawVm, UBootReachesItsPrompt) {
  Adyton adyton({"run", "--timeout", "120", "--firmware", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"});
  ASSERT_TRUE(adyton.wait_for("Hit any key")) << adyton.output();
  adyton.write("\r");
  ASSERT_TRUE(adyton.wait_for("=> "));
  adyton.write("poweroff\r");
  EXPECT_EQ(adyton.finish(), 0) << adyton.errors();
}

}  // namespace
}  // namespace adyton::e2e
