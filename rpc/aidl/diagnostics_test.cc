// Every message, its place and its caret: testdata/diagnostics/*.case hold files and what the compiler says about them.
//   --- PATH           a file that is compiled, up to the next ---
//   --- import PATH    one that is only found
//   --- language cpp, --- structured, --- vintf, --- warnings OPTION
//   --- expect         what is said, up to the end
// ADYTON_UPDATE_GOLDEN=1 in the environment writes what is said into the cases instead; read the difference before keeping it.
#include "rpc/aidl/diagnostics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "rpc/aidl/program.h"

namespace adyton::aidl {
namespace {

struct Case {
  std::map<std::string, std::string> files;
  std::vector<std::string> inputs;
  ProgramOptions options;
  WarningPolicy policy;
  std::string head;    // all but the expectation
  std::string expected;
};

Case read_case(const std::string& path) {
  Case out;
  std::ifstream file(path);
  std::string* target = nullptr;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("--- ")) {
      if (target != nullptr) *target += line + "\n";
      if (target != &out.expected) out.head += line + "\n";
      continue;
    }
    const std::string what = line.substr(4);
    if (what == "expect") {
      target = &out.expected;
      continue;
    }
    out.head += line + "\n";
    target = nullptr;
    if (what == "structured") out.options.structured = true;
    else if (what == "vintf") out.options.vintf = true;
    else if (what == "language cpp") out.options.language = Language::kCpp;
    else if (what == "language ndk") out.options.language = Language::kNdk;
    else if (what.starts_with("warnings ")) EXPECT_TRUE(out.policy.apply(what.substr(9))) << what;
    else if (what.starts_with("import ")) target = &out.files[what.substr(7)];
    else {
      out.inputs.push_back(what);
      target = &out.files[what];
    }
  }
  return out;
}

std::vector<std::string> case_files() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(ADYTON_AIDL_TESTDATA "/diagnostics")) {
    if (entry.path().extension() == ".case") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class DiagnosticsCase : public testing::TestWithParam<std::string> {};

TEST_P(DiagnosticsCase, SaysWhatIsExpected) {
  const Case test = read_case(GetParam());
  Diagnostics diagnostics(test.policy);
  Program program(diagnostics);
  const bool ok = program.load(test.inputs, MemoryReader(test.files), test.options);
  const std::string said = diagnostics.to_string();
  EXPECT_EQ(ok, diagnostics.errors() == 0);
  if (std::getenv("ADYTON_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(GetParam()) << test.head << "--- expect\n" << said;
    GTEST_SKIP() << "written";
  }
  EXPECT_EQ(said, test.expected);
}

INSTANTIATE_TEST_SUITE_P(Cases, DiagnosticsCase, testing::ValuesIn(case_files()),
                         [](const auto& parameter) { return std::filesystem::path(parameter.param).stem().string(); });

TEST(Diagnostics, SortsByFileAndLineAndKeepsNotesWithTheirErrors) {
  const SourceFile file("a", "one\ntwo\n");
  Diagnostics diagnostics;
  diagnostics.error({&file, 4, 3}, "second");
  diagnostics.note({&file, 0, 1}, "see");
  diagnostics.error({&file, 0, 3}, "first");
  EXPECT_EQ(diagnostics.to_string(),
            "a:1:1: error: first\n    one\n    ^~~\n"
            "a:2:1: error: second\n    two\n    ^~~\n"
            "a:1:1: note: see\n    one\n    ^\n");
}

TEST(Diagnostics, CountsWhatItDoesNotShow) {
  const SourceFile file("a", "x");
  Diagnostics diagnostics;
  for (size_t i = 0; i < Diagnostics::kMaxErrors + 5; ++i) {
    diagnostics.error({&file, 0, 1}, "no");
    diagnostics.note({&file, 0, 1}, "because");
  }
  EXPECT_EQ(diagnostics.errors(), Diagnostics::kMaxErrors + 5);
  EXPECT_EQ(diagnostics.list().size(), 2 * Diagnostics::kMaxErrors);
  EXPECT_TRUE(diagnostics.to_string().ends_with("error: 5 more errors are not shown\n"));
}

TEST(Diagnostics, ShowsNoControlCharactersAndNoBrokenUtf8) {
  const SourceFile file("a", "x\x1b[31m\xff\xc3+\xc2\x9b\x7f y");
  Diagnostics diagnostics;
  diagnostics.error({&file, 13, 1}, "here");
  EXPECT_EQ(diagnostics.to_string(), "a:1:14: error: here\n    x?[31m??+??? y\n                 ^\n");
}

TEST(WarningPolicy, AppliesOptionsInOrder) {
  WarningPolicy policy;
  EXPECT_FALSE(policy.enabled(Warning::kMixedOneway));
  EXPECT_TRUE(policy.apply("mixed-oneway"));
  EXPECT_TRUE(policy.enabled(Warning::kMixedOneway));
  EXPECT_TRUE(policy.apply("all"));
  WarningPolicy everything;
  EXPECT_TRUE(everything.apply("everything"));
  EXPECT_TRUE(everything.enabled(Warning::kMixedOneway));
  EXPECT_TRUE(policy.apply("no-mixed-oneway"));
  EXPECT_FALSE(policy.enabled(Warning::kMixedOneway));
  EXPECT_TRUE(policy.apply("error=const-name"));
  EXPECT_TRUE(policy.is_error(Warning::kConstName));
  EXPECT_TRUE(policy.apply("no-error=const-name"));
  EXPECT_FALSE(policy.is_error(Warning::kConstName));
  EXPECT_TRUE(policy.enabled(Warning::kConstName));
  EXPECT_TRUE(policy.apply("error"));
  EXPECT_TRUE(policy.is_error(Warning::kInterfaceName));
  EXPECT_FALSE(policy.apply("nonsense"));
  EXPECT_FALSE(policy.apply("error=nonsense"));
}

}  // namespace
}  // namespace adyton::aidl
