// What a payload can count on: arguments, environment, streams, exit code, signals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string random_bytes(size_t size) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (size_t at = 0; at + 8 <= size; at += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, sizeof(word));
  }
  return bytes;
}

TEST(Payload, GetsItsArgumentsAndItsExitCodeIsOurs) {
  const Finished done = run({probe(), "args", "arg 1", "", "--smp", "ä"});
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "[arg 1]\n[]\n[--smp]\n[ä]\n");
  EXPECT_EQ(done.errors, "");
  EXPECT_EQ(run({probe(), "exit", "42"}).code, 42);
}

TEST(Payload, LogLinesWithoutTheServiceNameTheVm) {
  Adyton shell = Adyton::shell(R"sh(ADYTON_LOG=info "$ADYTON" run --no-service "$PROBE" exit 3 & wait $!; echo "pid-$! $?")sh");
  EXPECT_EQ(shell.finish(), 0);
  const std::string& said = shell.output();
  ASSERT_TRUE(said.ends_with(" 3\n")) << said << shell.errors();
  const std::string name = said.substr(0, said.find(' '));
  EXPECT_THAT(shell.errors(),
              ::testing::ContainsRegex("info vmm\\[[0-9]+\\] vm=" + name + " .*: the software engine runs the guest"));
}

TEST(Payload, MayBeLinkedDynamically) {
  const Finished done = run({dynamic_probe(), "args", "x"});
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "[x]\n");
}

TEST(Payload, StreamsStaySeparate) {
  const Finished done = run({probe(), "both"});
  EXPECT_EQ(done.output, "to stdout\n");
  EXPECT_EQ(done.errors, "to stderr\n");
}

TEST(Payload, ASignalThatEndsItIsReportedAsInAShell) {
  const Finished killed = run({probe(), "kill", std::to_string(SIGSEGV)});
  EXPECT_EQ(killed.code, 128 + SIGSEGV);
  const Finished aborted = run({probe(), "abort"});
  EXPECT_EQ(aborted.code, 128 + SIGABRT);
}

TEST(Payload, SixtyFourMebibytesArriveIntact) {
  const std::string bytes = random_bytes(size_t{64} << 20);
  const Finished done = run({probe(), "cat"}, bytes);
  EXPECT_EQ(done.code, 0);
  EXPECT_EQ(done.output.size(), bytes.size());
  EXPECT_TRUE(done.output == bytes) << "the bytes differ";
}

TEST(Payload, HasTheEnvironmentAndFolderAskedFor) {
  const Finished env = run({"--env", "GREETING=hello world", "--env", "OTHER=1", probe(), "env", "GREETING"});
  EXPECT_EQ(env.output, "hello world\n");
  const Finished cwd = run({"--workdir", "/proc/self", probe(), "cwd"});
  EXPECT_THAT(cwd.output, HasSubstr("/proc/"));
}

TEST(Payload, SeesMountedFoldersAndCannotChangeThem) {
  TemporaryFolder folder;
  folder.write("note.txt", "from the host\n");
  const Finished read = run({"--mount", folder.path() + ":/data:ro", probe(), "file", "/data/note.txt"});
  EXPECT_EQ(read.output, "from the host\n") << read.errors;
  const Finished write = run({"--mount", folder.path() + ":/data", probe(), "write", "/data/new.txt"});
  EXPECT_EQ(write.output, "written\n") << write.errors;
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/new.txt"));
}

TEST(Payload, RunsInADirectoryTree) {
  TemporaryFolder root;
  for (const char* name : {"bin", "dev", "proc", "sys", "tmp", "etc"})
    std::filesystem::create_directories(root.path() + "/" + name);
  root.write("etc/motd", "inside the tree\n");
  std::filesystem::copy_file(probe(), root.path() + "/bin/probe");
  const Finished done = run({"--rootfs", root.path(), "--", "/bin/probe", "file", "/etc/motd"});
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "inside the tree\n");
  const Finished missing = run({"--rootfs", root.path(), "--", "/bin/absent"});
  EXPECT_EQ(missing.code, 127);
  EXPECT_THAT(missing.errors, HasSubstr("adyton: "));
}

TEST(Payload, WhatItWritesToADiskIsThereAfterwards) {
  TemporaryFolder folder;
  const std::string disk = folder.write("disk.img", std::string(1 << 20, '-'));
  const Finished write = run({"--disk", disk, probe(), "write", "/dev/vda"});
  EXPECT_EQ(write.code, 0) << write.output << write.errors;
  EXPECT_TRUE(contents(disk).starts_with("written\n---"));
  const Finished read_only = run({"--disk", disk + ",ro", probe(), "write", "/dev/vda"});
  EXPECT_EQ(read_only.code, 1);
  EXPECT_EQ(contents(disk).size(), size_t{1} << 20);
}

TEST(Payload, AnIgnoredSignalStaysIgnored) {
  Adyton adyton = Adyton::shell("trap '' HUP; exec \"$ADYTON\" run \"$PROBE\" wait-signal 15");
  ASSERT_TRUE(adyton.wait_for("ready\n"));
  adyton.signal(SIGHUP);
  adyton.signal(SIGTERM);
  EXPECT_EQ(adyton.finish(), 3);
}

TEST(Payload, HasTheCpusAndMemoryAskedFor) {
  const Finished threads = run({"--smp", "4", probe(), "threads", "8"});
  EXPECT_EQ(threads.output, "800000 on 4\n") << threads.errors;
  const Finished memory = run({"--memory", "1G", probe(), "memory"});
  EXPECT_GT(std::stol(memory.output), 800);
  EXPECT_LE(std::stol(memory.output), 1024);
}

TEST(Payload, ForksAThousandTimes) { EXPECT_EQ(run({"--smp", "2", probe(), "forks", "1000"}).output, "1000 children\n"); }

TEST(Payload, SignalsReachIt) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) {
    Adyton adyton({"run", probe(), "wait-signal", std::to_string(number)});
    ASSERT_TRUE(adyton.wait_for("ready\n"));
    adyton.signal(number);
    EXPECT_EQ(adyton.finish(), 3);
    EXPECT_THAT(adyton.output(), HasSubstr("signal " + std::to_string(number)));
  }
}

TEST(Payload, ASecondInterruptEndsTheVm) {
  Adyton adyton({"run", probe(), "ignore"});
  ASSERT_TRUE(adyton.wait_for("ready\n"));
  // Two pending signals of one kind are one signal, so interrupt until the end.
  std::jthread interrupting([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && !adyton.ended()) adyton.signal(SIGINT);
  });
  EXPECT_FALSE(adyton.wait_for("never"));
  interrupting.request_stop();
  interrupting.join();
  EXPECT_EQ(adyton.finish(), 130);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(Payload, AReaderThatLeavesStopsIt) {
  Adyton adyton = Adyton::shell("\"$ADYTON\" run \"$PROBE\" flood | head -c 100000 | wc -c");
  adyton.close_input();
  EXPECT_EQ(adyton.finish(), 0);
  EXPECT_EQ(std::stol(adyton.output()), 100000);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(Payload, StandardStreamsMayBeMissing) {
  Adyton no_input = Adyton::shell("\"$ADYTON\" run \"$PROBE\" cat <&-");
  EXPECT_EQ(no_input.finish(), 0) << no_input.errors();
  Adyton no_errors = Adyton::shell("\"$ADYTON\" run \"$PROBE\" exit 5 2>&-");
  EXPECT_EQ(no_errors.finish(), 5);
  Adyton no_output = Adyton::shell("\"$ADYTON\" run \"$PROBE\" both >&-");
  EXPECT_EQ(no_output.finish(), 125);
  EXPECT_THAT(no_output.errors(), HasSubstr("standard output"));
}

TEST(Payload, AFullDiskIsReported) {
  Adyton adyton = Adyton::shell("\"$ADYTON\" run \"$PROBE\" both >/dev/full");
  EXPECT_EQ(adyton.finish(), 125);
  EXPECT_THAT(adyton.errors(), HasSubstr("adyton: cannot write standard output: No space left on device\n"));
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

TEST(Payload, HasATerminalOfTheRightSize) {
  Adyton adyton({"run", probe(), "terminal"}, Streams::kTerminal);
  EXPECT_EQ(adyton.finish(), 0);
  EXPECT_THAT(adyton.output(), HasSubstr("1 1 1 33x101\r\n"));
}

TEST(Payload, SeesItsTerminalResized) {
  Adyton adyton({"run", probe(), "wait-resize"}, Streams::kTerminal);
  ASSERT_TRUE(adyton.wait_for("ready"));
  adyton.resize(44, 133);
  EXPECT_EQ(adyton.finish(), 0);
  EXPECT_THAT(adyton.output(), HasSubstr("44x133"));
}

TEST(Payload, IsInterruptedFromTheTerminal) {
  Adyton adyton({"run", probe(), "wait-signal", std::to_string(SIGINT)}, Streams::kTerminal);
  ASSERT_TRUE(adyton.wait_for("ready"));
  adyton.write("\x03");
  EXPECT_EQ(adyton.finish(), 3);
}

TEST(Payload, DiesWithTheCommandLineTool) {
  Adyton adyton({"run", probe(), "wait"});
  ASSERT_TRUE(adyton.wait_for("ready\n"));
  EXPECT_GE(adyton.processes().size(), 2u);
  adyton.signal(SIGKILL);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
  EXPECT_TRUE(adyton.temporary_files().empty());
}

TEST(Payload, LeavesNothingBehindWhenTheVmIsKilled) {
  Adyton adyton({"run", probe(), "wait"});
  ASSERT_TRUE(adyton.wait_for("ready\n"));
  adyton.signal(SIGHUP);
  EXPECT_EQ(adyton.finish(), 128 + SIGHUP);
  EXPECT_EQ(adyton.wait_until_gone(), 0u);
}

}  // namespace
}  // namespace adyton::e2e
