#include "rpc/aidl/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace adyton::aidl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Command> parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "aidlc");
  return parse_command_line(arguments);
}

TEST(Options, GeneratesInTheMannerOfAosp) {
  const auto command = parse({"--lang=ndk", "-Ione", "-I", "two", "-o", "out", "-h", "include", "--structured", "--stability=vintf", "-v", "3", "--hash", "abc", "-d",
                              "out.d", "--ninja", "--omit_invocation", "--min_sdk_version", "30", "-Wall", "-Werror", "-Wno-mixed-oneway", "a/IFoo.aidl"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<GenerateOptions>(*command);
  EXPECT_THAT(options.inputs, ElementsAre("a/IFoo.aidl"));
  EXPECT_THAT(options.program.include_dirs, ElementsAre("one", "two"));
  EXPECT_EQ(options.program.language, Language::kNdk);
  EXPECT_TRUE(options.program.structured);
  EXPECT_TRUE(options.program.vintf);
  EXPECT_EQ(options.output_dir, "out");
  EXPECT_EQ(options.header_dir, "include");
  EXPECT_EQ(options.backend.version, 3u);
  EXPECT_EQ(options.backend.hash, "abc");
  EXPECT_TRUE(options.backend.omit_invocation);
  EXPECT_EQ(options.dependency_file, "out.d");
  EXPECT_TRUE(options.ninja);
  EXPECT_TRUE(options.warnings.enabled(Warning::kInterfaceName));
  EXPECT_FALSE(options.warnings.enabled(Warning::kMixedOneway));
  EXPECT_TRUE(options.warnings.is_error(Warning::kInterfaceName));
}

TEST(Options, HeadersGoWithSourcesUnlessToldElsewhere) {
  const auto command = parse({"--lang", "cpp", "-a", "-o", "out", "a.aidl", "b.aidl"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& options = std::get<GenerateOptions>(*command);
  EXPECT_EQ(options.header_dir, "out");
  EXPECT_TRUE(options.dependency_files);
  EXPECT_EQ(options.backend.invocation, "aidlc --lang cpp -a -o out a.aidl b.aidl");
  EXPECT_FALSE(options.backend.version);
}

TEST(Options, QuietMeansQuiet) {
  const auto command = parse({"--lang=cpp", "-o", "out", "-Wall", "-w", "a.aidl"});
  ASSERT_TRUE(command);
  EXPECT_FALSE(std::get<GenerateOptions>(*command).warnings.enabled(Warning::kUniqueMethodNames));
}

TEST(Options, DumpsAndChecks) {
  const auto dump = parse({"--dumpapi", "--out=api", "-I.", "a.aidl", "b.aidl"});
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(std::get<DumpOptions>(*dump).output_dir, "api");
  EXPECT_THAT(std::get<DumpOptions>(*dump).inputs, ElementsAre("a.aidl", "b.aidl"));
  for (const std::string form : {"--checkapi", "--checkapi=compatible", "--checkapi=equal"}) {
    const auto check = parse({form, "old", "new"});
    ASSERT_TRUE(check) << check.error().message;
    EXPECT_EQ(std::get<CheckOptions>(*check).level, form.ends_with("equal") ? CompatibilityLevel::kEqual : CompatibilityLevel::kCompatible);
    EXPECT_EQ(std::get<CheckOptions>(*check).old_dir, "old");
    EXPECT_EQ(std::get<CheckOptions>(*check).new_dir, "new");
  }
}

TEST(Options, MapsMethodsWithoutALanguage) {
  const auto command = parse({"--methodmap", "map.json", "a.aidl"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(std::get<GenerateOptions>(*command).program.language, Language::kNone);
  EXPECT_EQ(std::get<GenerateOptions>(*command).method_map, "map.json");
}

TEST(Options, TakesThoseOfAosp) {
  const auto command = parse({"--lang=cpp", "-t", "--trace", "--log", "--transaction_names", "--no_license", "-b", "-Weverything", "-o", "x", "a.aidl"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_TRUE(std::get<GenerateOptions>(*command).program.no_unstructured);
  EXPECT_THAT(std::get<GenerateOptions>(*command).inputs, ElementsAre("a.aidl"));
  const auto mapping = parse({"--apimapping", "map.txt", "a.aidl"});
  ASSERT_TRUE(mapping) << mapping.error().message;
  EXPECT_EQ(std::get<GenerateOptions>(*mapping).api_mapping, "map.txt");
}

TEST(Options, Helps) {
  const auto command = parse({"--help"});
  ASSERT_TRUE(command);
  EXPECT_THAT(std::get<PrintText>(*command).text, HasSubstr("aidlc --checkapi[=compatible|equal] [OPTIONS] OLD_DIR NEW_DIR"));
}

struct Bad {
  std::vector<std::string> arguments;
  std::string message;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << ::testing::PrintToString(bad.arguments); }

class BadOptions : public ::testing::TestWithParam<Bad> {};

TEST_P(BadOptions, AreRefusedWithAReason) {
  const auto command = parse(GetParam().arguments);
  ASSERT_FALSE(command);
  EXPECT_THAT(command.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(All, BadOptions,
                         ::testing::ValuesIn(std::vector<Bad>{
                             {{}, "no .aidl file is named"},
                             {{"a.aidl"}, "nothing to do"},
                             {{"--lang=java", "-o", "x", "a.aidl"}, "--lang 'java' is not 'cpp' or 'ndk'"},
                             {{"--lang=cpp", "a.aidl"}, "say where to write files"},
                             {{"--dumpapi", "a.aidl"}, "say where to write files"},
                             {{"--lang=cpp", "--dumpapi", "-o", "x", "a.aidl"}, "exclude each other"},
                             {{"--lang=cpp", "-o", "x", "-d", "y", "a.aidl", "b.aidl"}, "-d is for one input"},
                             {{"--lang=cpp", "-o", "x", "-d", "y", "-a", "a.aidl"}, "-a and -d exclude each other"},
                             {{"--methodmap", "x", "-d", "y", "a.aidl"}, "dependency files are for --lang"},
                             {{"--lang=cpp", "-o", "x", "--version", "0", "a.aidl"}, "--version '0'"},
                             {{"--lang=cpp", "-o", "x", "-v", "-1", "a.aidl"}, "-v"},
                             {{"--lang=cpp", "-o", "x", "-v", "99999999999", "a.aidl"}, "--version '99999999999'"},
                             {{"--lang=cpp", "-o", "x", "--hash", "abc", "a.aidl"}, "--hash needs --version"},
                             {{"--lang=cpp", "-o", "x", "-v", "1", "--hash", "a\"b", "a.aidl"}, "--hash is made of"},
                             {{"--lang=cpp", "-o", "x", "--stability=solid", "a.aidl"}, "--stability 'solid'"},
                             {{"--lang=cpp", "-o", "x", "-Wnonsense", "a.aidl"}, "there is no warning '-Wnonsense'"},
                             {{"--checkapi=strict", "a", "b"}, "--checkapi 'strict'"},
                             {{"--checkapi", "a"}, "two directories"},
                             {{"--lang=cpp", "-o", "x", "-p", "y", "a.aidl"}, "with -I"},
                             {{"--preprocess", "y", "a.aidl"}, "with -I"},
                             {{"--nonsense", "a"}, "--nonsense"}}));

}  // namespace
}  // namespace adyton::aidl
