#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "adyton/virtual_machine_config.h"
#include "sdk/config_data.h"

namespace adyton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Builder = VirtualMachineConfig::Builder;

Builder hello() { return Builder().setPayload("/bin/hello").setIsolation(IsolationLevel::kNone); }

std::string refusal(const Builder& builder) {
  auto config = builder.build();
  return config ? "" : config.error().message;
}

TEST(Config, HasWhatItWasGivenAndDefaults) {
  const auto config = hello().setArguments({"a", "b"}).addEnvironment("K", "V=W").build();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->getPayload(), "/bin/hello");
  EXPECT_THAT(config->getArguments(), ElementsAre("a", "b"));
  EXPECT_THAT(config->getEnvironment(), ElementsAre("K=V=W"));
  EXPECT_EQ(config->getWorkingDirectory(), "/");
  EXPECT_EQ(config->getMemoryBytes(), VirtualMachineConfig::kDefaultMemoryBytes);
  EXPECT_EQ(config->getCpuCount(), 1u);
  EXPECT_EQ(config->getIsolation(), IsolationLevel::kNone);
  EXPECT_FALSE(config->isProtectedVm());
  EXPECT_EQ(config->getDebugLevel(), DebugLevel::kNone);
  EXPECT_FALSE(config->isCustom());
  EXPECT_EQ(hello().setCpuTopology(CpuTopology::kMatchHost).build()->getCpuCount(), 0u);
  EXPECT_TRUE(hello().setProtectedVm(true).build()->isProtectedVm());
}

TEST(Config, PathsAreMadeAbsoluteWhenTheyAreGiven) {
  const auto config = hello().setPayload("./app").addMount({"data", "/data", true}).build();
  ASSERT_TRUE(config);
  const std::string here = std::filesystem::current_path();
  EXPECT_EQ(config->getPayload(), here + "/app");
  EXPECT_EQ(config->data().argv0, "./app");
  EXPECT_EQ(config->getMounts().front().source, here + "/data");
}

TEST(Config, AVmMaySayWhichIsolationItReliesOn) {
  EXPECT_THAT(refusal(Builder().setPayload("/bin/hello")), HasSubstr("setIsolation()"));
}

TEST(Config, MistakesAreSaidInASentence) {
  EXPECT_THAT(refusal(Builder().setIsolation(IsolationLevel::kNone)), HasSubstr("nothing to run"));
  EXPECT_THAT(refusal(hello().setKernel("/boot/Image")), HasSubstr("exclude"));
  EXPECT_THAT(refusal(hello().setRootDirectory("/srv")), HasSubstr("exclude"));
  EXPECT_THAT(refusal(hello().setProgram("sh")), HasSubstr("root directory"));
  EXPECT_THAT(refusal(hello().setPayload("")), HasSubstr("empty"));
  EXPECT_THAT(refusal(hello().setInitrd("/i")), HasSubstr("kernel"));
  EXPECT_THAT(refusal(hello().setVirtioConsole(true)), HasSubstr("virtio console"));
  for (const char* const suite : {"Sid", "-x", "a b", "sid\ndeb evil", "sid\";", "../sid", "1"}) {
    EXPECT_THAT(refusal(hello().setKernelSuite(suite)), HasSubstr("is not the name of a Debian suite")) << suite;
  }
  EXPECT_THAT(refusal(Builder().setKernel("/k").setKernelSuite("sid").setIsolation(IsolationLevel::kNone)),
              HasSubstr("brings its own kernel"));
  EXPECT_THAT(refusal(hello().setMemoryBytes(0)), HasSubstr("memory"));
  EXPECT_THAT(refusal(hello().setMemoryBytes(1 << 20)), HasSubstr("too little"));
  EXPECT_THAT(refusal(hello().setMemoryBytes(UINT64_MAX)), HasSubstr("at most"));
  EXPECT_THAT(refusal(hello().setCpuCount(0)), HasSubstr("CPU"));
  EXPECT_THAT(refusal(hello().setCpuCount(124)), HasSubstr("124"));
  for (const int64_t seconds : {int64_t{-1}, int64_t{24} * 3600 + 1, INT64_MIN, INT64_MAX}) {
    EXPECT_THAT(refusal(hello().setWatchdogTimeout(std::chrono::seconds(seconds))), HasSubstr("watchdog")) << seconds;
  }
  EXPECT_THAT(refusal(hello().setEnvironment({"=x"})), HasSubstr("NAME=value"));
  EXPECT_THAT(refusal(hello().setWorkingDirectory("data")), HasSubstr("absolute"));
  EXPECT_THAT(refusal(hello().addMount({"/srv", "srv", false})), HasSubstr("absolute"));
  EXPECT_THAT(refusal(hello().setArguments({std::string("a\0b", 3)})), HasSubstr("zero byte"));
  EXPECT_THAT(refusal(hello().setVmOutputCaptured(true)), HasSubstr("debug level"));
  EXPECT_THAT(refusal(hello().setDebugLevel(DebugLevel::kFull).setVmConsoleInputSupported(true)), HasSubstr("captured"));
  Builder many = hello();
  for (int i = 0; i < 16; ++i) many.addDisk({"/disk", true});
  EXPECT_THAT(refusal(many), HasSubstr("15"));
  Builder custom = Builder().setKernel("/Image").setIsolation(IsolationLevel::kNone);
  EXPECT_EQ(refusal(custom), "");
  EXPECT_THAT(refusal(custom.setArguments({"x"})), HasSubstr("for payloads"));
}

TEST(Config, CompatibleIsWhatAgreesInIdentity) {
  const auto base = *hello().build();
  const auto with = [&](const std::function<void(Builder&)>& change) {
    Builder builder = hello();
    change(builder);
    auto other = builder.build();
    EXPECT_TRUE(other) << other.error().message;
    EXPECT_EQ(base.isCompatibleWith(*other), other->isCompatibleWith(base));
    return base.isCompatibleWith(*other);
  };
  EXPECT_TRUE(base.isCompatibleWith(base));
  EXPECT_TRUE(with([](Builder& b) { b.setMemoryBytes(1 << 30); }));
  EXPECT_TRUE(with([](Builder& b) { b.setCpuCount(7); }));
  EXPECT_TRUE(with([](Builder& b) { b.setPayload("/elsewhere/hello"); }));
  EXPECT_TRUE(with([](Builder& b) { b.setArguments({"x"}); }));
  EXPECT_FALSE(with([](Builder& b) { b.setPayload("/bin/goodbye"); }));
  EXPECT_FALSE(with([](Builder& b) { b.setDebugLevel(DebugLevel::kFull); }));
  EXPECT_FALSE(with([](Builder& b) { b.setDebugLevel(DebugLevel::kFull).setVmOutputCaptured(true); }));
  EXPECT_FALSE(with([](Builder& b) { b.setIsolation(IsolationLevel::kProcess); }));
  EXPECT_FALSE(with([](Builder& b) { b = Builder().setKernel("/hello").setIsolation(IsolationLevel::kNone); }));
}

TEST(Config, SurvivesJson) {
  const Builder builders[] = {
      hello(),
      hello()
          .setArguments({"a b", "\n\"'", "\u00e4"})
          .setEnvironment({"A=1", "B="})
          .setWorkingDirectory("/w")
          .addMount({"/m", "/t", true})
          .addDisk({"/d", false})
          .setTerminal({.rows = 1, .columns = 65535})
          .setMemoryBytes(uint64_t{1} << 40)
          .setCpuTopology(CpuTopology::kMatchHost)
          .setDebugLevel(DebugLevel::kFull)
          .setVmOutputCaptured(true)
          .setVmConsoleInputSupported(true)
          .setVerboseBoot(true)
          .setBootTimeoutMillis(0),
      Builder()
          .setRootDirectory("/r")
          .setProgram("sh")
          .setKernelSuite("trixie-backports")
          .setIsolation(IsolationLevel::kHypervisor),
      Builder()
          .setKernel("/k")
          .setInitrd("/i")
          .setKernelParameters("quiet")
          .setVirtioConsole(true)
          .setWatchdogTimeout(std::chrono::hours(24))
          .setIsolation(IsolationLevel::kProcess)
          .setMemoryBytes(1),
  };
  for (const Builder& builder : builders) {
    const auto config = builder.build();
    ASSERT_TRUE(config) << config.error().message;
    const auto again = VirtualMachineConfig::from_json(config->to_json());
    ASSERT_TRUE(again) << again.error().message << config->to_json();
    EXPECT_TRUE(config->data() == again->data()) << config->to_json();
  }
}

TEST(Config, JsonThatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{", "{}", R"({"version":2,"isolation":"none","payload":"/p"})",
                           R"({"version":1,"isolation":"total","payload":"/p"})", R"({"version":1,"isolation":"none"})",
                           R"({"version":1,"isolation":"none","payload":7})",
                           R"({"version":1,"isolation":"none","payload":"/p","cpu_count":4294967297})",
                           R"({"version":1,"isolation":"none","payload":"/p","memory_bytes":-1})",
                           R"({"version":1,"isolation":"none","payload":"/p","mounts":[7]})",
                           R"({"version":1,"isolation":"none","payload":"/p","mounts":[{"target":7}]})",
                           R"({"version":1,"isolation":"none","payload":"/p","terminal":{"rows":65536}})",
                           R"({"version":1,"isolation":"none","payload":"/p","arguments":["a\u0000b"]})"}) {
    EXPECT_FALSE(VirtualMachineConfig::from_json(text)) << text;
  }
}

}  // namespace
}  // namespace adyton
