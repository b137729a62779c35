#include "service/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace adyton::service {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kTotal = 1000;

Result<Settings> options(std::vector<const char*> arguments) {
  Settings settings = default_settings(kTotal);
  TRY(apply_options(settings, arguments, kTotal));
  return settings;
}
Result<Settings> file(std::string_view text) {
  Settings settings = default_settings(kTotal);
  TRY(apply_toml(settings, text, "adytond.toml", kTotal));
  return settings;
}

TEST(Settings, HaveDefaults) {
  const auto settings = *options({});
  EXPECT_EQ(settings.limits.vms, 64u);
  EXPECT_EQ(settings.limits.vms_per_client, 32u);
  EXPECT_EQ(settings.limits.memory, 800u);
  EXPECT_EQ(settings.limits.memory_per_client, 600u);
  EXPECT_EQ(settings.idle_exit.count(), 60);
}

TEST(Settings, TakeEveryOptionThatIsDescribed) {
  for (const usage::Option& option : describe_options().options) {
    const std::string& name = option.names.back();
    EXPECT_THAT(usage_text(), HasSubstr(name));
    std::string value = option.value.substr(0, option.value.find('|'));
    if (value == "N" || value == "SECONDS" || value == "SIZE") value = "1";
    const std::string given = value.empty() ? name : name + "=" + value;
    const auto taken = options({given.c_str()});
    EXPECT_TRUE(taken) << taken.error().message;
  }
}

TEST(Settings, TakeOptions) {
  const auto settings = *options({"--max-vms", "8", "--max-memory=50%", "--idle-exit=0", "--ready-fd", "5"});
  EXPECT_EQ(settings.limits.vms, 8u);
  EXPECT_EQ(settings.limits.memory, 500u);
  EXPECT_EQ(settings.idle_exit.count(), 0);
  EXPECT_EQ(settings.ready_fd, 5);
}

TEST(Settings, TakeWhatOneProgramMayHave) {
  const auto settings = *options({"--max-vms-per-client=3", "--max-cpus-per-client", "7", "--max-memory-per-client=25%"});
  EXPECT_EQ(settings.limits.vms_per_client, 3u);
  EXPECT_EQ(settings.limits.cpus_per_client, 7u);
  EXPECT_EQ(settings.limits.memory_per_client, 250u);
  EXPECT_EQ(file("max_cpus_per_client = 9")->limits.cpus_per_client, 9u);
  EXPECT_EQ(file("max_memory_per_client = \"1G\"")->limits.memory_per_client, uint64_t{1} << 30);
  EXPECT_THAT(options({"--max-memory-per-client=much"}).error().message,
              HasSubstr("--max-memory-per-client=much: 'much' is not a size"));
}

TEST(Settings, RefuseOptionsThatDoNotExist) {
  EXPECT_THAT(options({"--max-vm=8"}).error().message, HasSubstr("no option --max-vm=8"));
  EXPECT_THAT(options({"max-vms"}).error().message, HasSubstr("not an option"));
  EXPECT_THAT(options({"--max-vms"}).error().message, HasSubstr("lacks its value"));
  EXPECT_THAT(options({"--max-vms=-1"}).error().message, HasSubstr("'-1' is not a number"));
  EXPECT_THAT(options({"--max-vms=4294967296"}).error().message, HasSubstr("not a number from 0 to 4294967295"));
}

TEST(Settings, SayWhatToLog) {
  EXPECT_EQ(options({})->log.level, log::Level::kInfo);
  EXPECT_EQ(options({"--log-level=debug"})->log.level, log::Level::kDebug);
  EXPECT_EQ(options({"--log-format", "json"})->log.format, log::Format::kJson);
  EXPECT_EQ(options({"--log-to", "journal"})->log.destination, log::Destination::kJournal);
  EXPECT_EQ(file("log_level = \"error\"\nlog_to = \"stderr\"")->log.level, log::Level::kError);
  EXPECT_THAT(options({"--log-level=loud"}).error().message, HasSubstr("'loud' is no log level"));
  EXPECT_THAT(options({"--log-format=xml"}).error().message, HasSubstr("there are text, json"));
  EXPECT_THAT(options({"--log-to=/dev/null"}).error().message, HasSubstr("there are auto, stderr, journal"));
}

TEST(Settings, TakeTheLogsLevelFromTheEnvironmentUnlessAnOptionSaysOtherwise) {
  ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  ::setenv("ADYTON_LOG", "debug", 1);
  ::setenv("ADYTON_LOG_FORMAT", "json", 1);
  const char* const option = "--log-level=error";
  EXPECT_EQ(load_settings({})->log.level, log::Level::kDebug);
  EXPECT_EQ(load_settings({})->log.format, log::Format::kJson);
  EXPECT_EQ(load_settings({&option, 1})->log.level, log::Level::kError);
  ::setenv("ADYTON_LOG", "loud", 1);
  EXPECT_THAT(load_settings({}).error().message, HasSubstr("ADYTON_LOG: 'loud' is no log level"));
  ::unsetenv("ADYTON_LOG");
  ::unsetenv("ADYTON_LOG_FORMAT");
  ::unsetenv("XDG_CONFIG_HOME");
}

TEST(Settings, TakeAFile) {
  const auto settings = *file("# limits\nmax_vms = 3\nmax_memory = \"2G\"\n");
  EXPECT_EQ(settings.limits.vms, 3u);
  EXPECT_EQ(settings.limits.memory, uint64_t{2} << 30);
  EXPECT_TRUE(file(""));
}

TEST(Settings, SayWhatIsWrongWithAFile) {
  EXPECT_THAT(file("max_vms = ").error().message, HasSubstr("adytond.toml, line 1"));
  EXPECT_THAT(file("max_vm = 3").error().message, HasSubstr("no setting 'max_vm'"));
  EXPECT_THAT(file("max_vms = [1]").error().message, HasSubstr("neither a number nor a string"));
  EXPECT_THAT(file("max_vms = -4").error().message, HasSubstr("'-4' is not a number"));
}

TEST(Settings, ReadSizes) {
  EXPECT_EQ(*parse_memory("4096", kTotal), 4096u);
  EXPECT_EQ(*parse_memory("3M", kTotal), uint64_t{3} << 20);
  EXPECT_EQ(*parse_memory("80%", kTotal), 800u);
  for (const char* wrong :
       {"", "G", "%", "-1", "1X", "1.5G", "18446744073709551615K", "16777216T", "4000%", "99999999999999999999"}) {
    EXPECT_FALSE(parse_memory(wrong, kTotal)) << wrong;
  }
}

}  // namespace
}  // namespace adyton::service
