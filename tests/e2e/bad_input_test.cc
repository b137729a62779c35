// Bad input gets one clear line and the right exit code, and leaves nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;

// run() itself checks that nothing is left behind.
void expect_failure(std::vector<std::string> arguments, int code, const std::string& words) {
  const Finished done = run(std::move(arguments));
  EXPECT_EQ(done.code, code) << done.errors;
  EXPECT_EQ(done.output, "");
  EXPECT_TRUE(done.errors.starts_with("adyton: ")) << done.errors;
  EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
  EXPECT_THAT(done.errors, HasSubstr(words));
}

TEST(BadInput, ProgramOfAnotherArchitecture) { expect_failure({"/proc/self/exe"}, 126, "x86-64"); }

TEST(BadInput, TruncatedProgram) {
  TemporaryFolder folder;
  expect_failure({folder.write("short", contents(probe()).substr(0, 100), 0755)}, 126, "truncated");
}

TEST(BadInput, TextFile) {
  TemporaryFolder folder;
  expect_failure({folder.write("text", "just words\n", 0755)}, 126, "not an AArch64");
}

TEST(BadInput, ProgramWithoutPermissionToRun) {
  TemporaryFolder folder;
  expect_failure({folder.write("plain", contents(probe()), 0644)}, 126, "");
}

TEST(BadInput, MissingFile) { expect_failure({"/nonexistent/payload"}, 127, "/nonexistent/payload"); }

TEST(BadInput, DirectoryWithoutInit) {
  TemporaryFolder folder;
  expect_failure({folder.path()}, 127, "no init");
  expect_failure({"--rootfs", folder.path()}, 127, "no init");
}

TEST(BadInput, MissingFolders) {
  expect_failure({"--rootfs", "/nonexistent", "--", "/bin/true"}, 125, "/nonexistent");
  expect_failure({"--mount", "/nonexistent:/data", probe()}, 125, "/nonexistent");
  expect_failure({"--mount", probe() + ":/data", probe()}, 125, "not a directory");
}

TEST(BadInput, KernelThatIsNone) {
  TemporaryFolder folder;
  expect_failure({"--kernel", folder.write("kernel", std::string(100'000, 'k'))}, 125, "Image");
  expect_failure({"--kernel", folder.write("empty", "")}, 125, "empty");
  expect_failure({"--kernel", "/nonexistent/Image"}, 125, "/nonexistent/Image");
  expect_failure({"--kernel", folder.path()}, 125, "not a file");
}

TEST(BadInput, Memory) {
  expect_failure({"--memory", "0", probe()}, 125, "--memory");
  expect_failure({"--memory", "1000T", probe()}, 125, "more than this machine has");
  expect_failure({"--memory", "many", probe()}, 125, "size");
  expect_failure({"--memory", "1M", probe()}, 125, "too little");
}

TEST(BadInput, Cpus) {
  expect_failure({"--smp", "0", probe()}, 125, "--smp");
  expect_failure({"--smp", "1000", probe()}, 125, "--smp");
}

TEST(BadInput, Disk) {
  TemporaryFolder folder;
  expect_failure({"--disk", "/nonexistent.img", probe()}, 125, "/nonexistent.img");
  expect_failure({"--disk", folder.path(), probe()}, 125, folder.path());
  // Root may open anything; a file that nobody may write stands for a disk without permission.
  expect_failure({"--disk", "/proc/version", probe()}, 125, "/proc/version");
}

TEST(BadInput, NothingToRun) { expect_failure({}, 125, "nothing to run"); }

TEST(BadInput, ConsoleLogOnAFullDisk) { expect_failure({"--console-log", "/dev/full", probe()}, 125, "No space left on device"); }

TEST(BadInput, KernelSuiteThatCannotBeOne) {
  for (const char* const suite : {"Sid", "../sid", "sid main contrib"}) {
    expect_failure({"--kernel-suite", suite, probe()}, 125, "is not the name of a Debian suite, such as bookworm");
    expect_failure({"--no-service", "--kernel-suite", suite, probe()}, 125,
                   "is not the name of a Debian suite, such as bookworm");
  }
  expect_failure({"--kernel-suite", "sid", "--kernel", raw_kernel()}, 125, "--kernel-suite chooses our kernel");
}

// A mirror in a folder has no suites at all; nor has the cache anything of this one.
TEST(BadInput, KernelSuiteThatDebianHasNot) {
  const std::string words = "this machine's Debian mirror has no suite 'nosuch'; choose the guest's kernel from one of bookworm";
  Adyton adyton = Adyton::shell(R"(export ADYTON_DEBIAN_MIRROR="file://$TMPDIR"
      "$ADYTON" run --kernel-suite nosuch "$PROBE"; echo $?
      "$ADYTON" run --no-service --kernel-suite nosuch "$PROBE"; echo $?
      ADYTON_DEBIAN_SUITE=nosuch "$ADYTON" run "$PROBE"; echo $?
      "$ADYTON" prepare --kernel-suite nosuch; echo $?
      "$ADYTON" create kept --kernel-suite nosuch "$PROBE"; echo $?
      ADYTON_DEBIAN_SUITE=bookworm "$ADYTON" start kept; echo $?)");
  EXPECT_EQ(adyton.finish(), 0);
  EXPECT_EQ(adyton.output(), "125\n125\n125\n125\nkept\n0\n125\n");
  std::istringstream lines(adyton.errors());
  int sentences = 0;
  for (std::string line; std::getline(lines, line); ++sentences) {
    EXPECT_TRUE(line.starts_with("adyton: ")) << line;
    EXPECT_THAT(line, HasSubstr(words));
  }
  EXPECT_EQ(sentences, 5) << adyton.errors();
  EXPECT_TRUE(adyton.temporary_files().empty());
}

// Nobody answers there: that is nothing of the suite's.
TEST(BadInput, KernelFromAMirrorThatDoesNotAnswer) {
  Adyton adyton = Adyton::shell(R"(ADYTON_DEBIAN_MIRROR=http://127.0.0.1:1/debian "$ADYTON" prepare --kernel-suite nosuch)");
  EXPECT_EQ(adyton.finish(), 125);
  EXPECT_THAT(adyton.errors(), HasSubstr("adyton: cannot fetch the guest's kernel from Debian's suite 'nosuch': "));
  EXPECT_EQ(std::count(adyton.errors().begin(), adyton.errors().end(), '\n'), 1) << adyton.errors();
}

// A file system of its own, too small for the image of a folder, in a mount namespace that ends with the command.
TEST(BadInput, CacheOnAFullDisk) {
  if (std::system("unshare --user --map-root-user --mount mount -t tmpfs none /mnt 2>/dev/null") != 0) {
    GTEST_SKIP() << "this machine lets nobody mount in a namespace";
  }
  Adyton adyton = Adyton::shell(R"(mkdir "$TMPDIR/big" && head -c 3000000 /dev/urandom > "$TMPDIR/big/file"
      export cache="${XDG_CACHE_HOME:-$HOME/.cache}/adyton"
      unshare --user --map-root-user --mount sh -c '
          mount -t tmpfs -o size=1m none /mnt && mkdir /mnt/adyton && ln -s "$cache"/[kvil]* /mnt/adyton || exit 99
          XDG_CACHE_HOME=/mnt "$ADYTON" run --mount "$TMPDIR/big:/data" "$PROBE" both; code=$?
          find /mnt/adyton -type f -name "*partial*"; exit $code'
      code=$?; rm -r "$TMPDIR/big"; exit $code)");
  EXPECT_EQ(adyton.finish(), 125);
  EXPECT_THAT(adyton.errors(), HasSubstr("no space left"));
  EXPECT_EQ(adyton.output(), "");
}

TEST(BadInput, KernelPanic) {
  const Finished done = run({probe(), "crash-kernel", "c"});
  EXPECT_EQ(done.code, 125);
  EXPECT_THAT(done.errors, HasSubstr("adyton: the guest's kernel panicked"));
  EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
}

TEST(BadInput, GuestReset) {
  const Finished done = run({probe(), "crash-kernel", "b"});
  EXPECT_EQ(done.code, 125);
  EXPECT_THAT(done.errors, HasSubstr("adyton: the guest reset itself"));
}

TEST(BadInput, InterruptWhileTheGuestBoots) {
  Adyton adyton({"run", "--verbose", probe(), "wait"});
  // The console's first line says that the kernel runs.
  char byte;
  ASSERT_EQ(::read(adyton.error_stream(), &byte, 1), 1);
  adyton.signal(SIGINT);
  EXPECT_EQ(adyton.finish(), 130);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(BadInput, Timeout) {
  const Finished done = run({"--timeout", "0.05", probe(), "wait"});
  EXPECT_EQ(done.code, 125);
  EXPECT_THAT(done.errors, HasSubstr("--timeout"));
}

}  // namespace
}  // namespace adyton::e2e
