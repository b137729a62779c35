// `adyton exec`: further programs in a guest that runs, with everything that a program started here has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <random>
#include <thread>

#include "tests/sdk/service_fixture.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;

constexpr const char* kProbe = "/payload/probe";  // where the payload is in its guest

class ExecTest : public ServiceTest {
 protected:
  void SetUp() override {
    manager = connect();
    vm = *manager->createTemporary(config({"wait"}), "busy");
    const auto started = vm->run();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(ready(*vm));
  }
  // Its payload runs, and its init takes further programs.
  static bool ready(VirtualMachine& vm) {
    const auto log = vm.getLogOutput();
    std::string said;
    char buffer[64];
    while (log && said.find("ready") == std::string::npos) {
      const ssize_t got = ::read(log->get(), buffer, sizeof(buffer));
      if (got <= 0) return false;
      said.append(buffer, static_cast<size_t>(got));
    }
    return log.has_value();
  }
  static std::vector<std::string> exec(std::vector<std::string> arguments) {
    std::vector<std::string> all = {"exec", "busy", "--", kProbe};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  std::shared_ptr<VirtualMachineManager> manager;
  std::shared_ptr<VirtualMachine> vm;
};

TEST_F(ExecTest, ExitCodesAreThoseOfAShell) {
  EXPECT_EQ(tell(exec({"exit", "0"})).code, 0);
  EXPECT_EQ(tell(exec({"exit", "255"})).code, 255);
  EXPECT_EQ(tell(exec({"kill", std::to_string(SIGSEGV)})).code, 128 + SIGSEGV);
  EXPECT_EQ(tell({"exec", "busy", "--", "/nonexistent"}).code, 127);
  EXPECT_EQ(tell({"exec", "busy", "--", "/proc"}).code, 126);
  EXPECT_EQ(tell({"exec", "absent", "--", kProbe}).code, 125);
}

TEST_F(ExecTest, StreamsAreSeparateAndLarge) {
  const Told both = tell(exec({"both"}));
  EXPECT_EQ(both.output, "to stdout\n");
  EXPECT_EQ(both.errors, "to stderr\n");
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  std::string bytes(size_t{8} << 20, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  Adyton adyton(exec({"cat"}));
  // Beside the reading: what comes back has to go somewhere.
  std::jthread writer([&] {
    adyton.write(bytes);
    adyton.close_input();
  });
  EXPECT_EQ(adyton.finish(), 0) << adyton.errors();
  EXPECT_EQ(adyton.output().size(), bytes.size());
  EXPECT_TRUE(adyton.output() == bytes) << "the bytes differ";
}

TEST_F(ExecTest, SignalsReachTheProgram) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    Adyton adyton(exec({"wait-signal", std::to_string(number)}));
    ASSERT_TRUE(adyton.wait_for("ready\n")) << adyton.errors();
    adyton.signal(number);
    EXPECT_EQ(adyton.finish(), 3);
    EXPECT_THAT(adyton.output(), HasSubstr("signal " + std::to_string(number)));
  }
}

TEST_F(ExecTest, HasATerminalThatIsResizedAndInterrupts) {
  Adyton terminal(exec({"terminal"}), Streams::kTerminal);
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_THAT(terminal.output(), HasSubstr("1 1 1 33x101\r\n"));
  Adyton resized(exec({"wait-resize"}), Streams::kTerminal);
  ASSERT_TRUE(resized.wait_for("ready"));
  resized.resize(44, 133);
  EXPECT_EQ(resized.finish(), 0);
  EXPECT_THAT(resized.output(), HasSubstr("44x133"));
  Adyton interrupted(exec({"wait-signal", std::to_string(SIGINT)}), Streams::kTerminal);
  ASSERT_TRUE(interrupted.wait_for("ready"));
  interrupted.write("\x03");
  EXPECT_EQ(interrupted.finish(), 3);
}

// The first program waits, the second would wait for its input, the third for somebody to read.
TEST_F(ExecTest, AKilledClientLeavesNoProcessInTheGuest) {
  for (const char* word : {"stubborn", "cat", "flood"}) {
    for (const Streams streams : {Streams::kPipes, Streams::kTerminal}) {
      Adyton adyton(exec({word}), streams);
      Adyton running(exec({"until-running", word}));
      ASSERT_EQ(running.finish(), 0) << running.errors();
      adyton.signal(SIGKILL);
      Adyton gone(exec({"until-gone", word}));
      EXPECT_EQ(gone.finish(), 0) << word << ": " << gone.errors();
    }
  }
  EXPECT_EQ(*vm->getStatus(), VmStatus::kRunning);
}

// What nobody takes waits in the guest, and does so alone.
TEST_F(ExecTest, ACopyWhoseReaderSleepsLosesNothingAndHoldsUpNobody) {
  std::string bytes(size_t{8} << 20, 'x');  // more than all the buffers on the way
  for (size_t i = 0; i < bytes.size(); i += 4096) bytes.replace(i, 8, std::to_string(10'000'000 + i));
  ASSERT_EQ(tell({"cp", folder.write("large", bytes), "busy:/tmp/large"}).code, 0);
  Adyton slow({"cp", "busy:/tmp/large", "-"});
  ASSERT_TRUE(slow.wait_for(bytes.substr(0, 8))) << slow.errors();
  ASSERT_EQ(tell({"cp", folder.write("small", "small"), "busy:/tmp/small"}).code, 0);
  EXPECT_EQ(tell({"cp", "busy:/tmp/small", "-"}).output, "small");
  EXPECT_EQ(tell(exec({"exit", "7"})).code, 7);
  EXPECT_EQ(slow.finish(), 0) << slow.errors();
  EXPECT_TRUE(slow.output() == bytes) << slow.output().size();
}

TEST_F(ExecTest, ACopyWhoseReaderDiesEndsAndHoldsUpNobody) {
  ASSERT_EQ(tell({"cp", folder.write("large", std::string(size_t{8} << 20, 'x')), "busy:/tmp/large"}).code, 0);
  Adyton leaves = Adyton::shell(R"({ "$ADYTON" cp busy:/tmp/large -; echo $? >&2; } | head -c 100 | wc -c)");
  EXPECT_EQ(leaves.finish(), 0);
  EXPECT_EQ(leaves.output(), "100\n");
  EXPECT_EQ(leaves.errors(), "141\n") << "128 + SIGPIPE, as of any program";
  Adyton killed({"cp", "busy:/tmp/large", "-"});
  ASSERT_TRUE(killed.wait_for("x")) << killed.errors();
  killed.signal(SIGKILL);
  EXPECT_EQ(killed.finish(), 128 + SIGKILL);
  EXPECT_EQ(tell({"cp", "busy:/tmp/large", folder.path() + "/back"}).code, 0);
  EXPECT_EQ(tell(exec({"exit", "7"})).code, 7);
}

}  // namespace
}  // namespace adyton::e2e
