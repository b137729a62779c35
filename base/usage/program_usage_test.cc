#include "base/usage/program_usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace adyton::usage {
namespace {

using ::testing::HasSubstr;

Program example() {
  return {.name = "example",
          .section = 8,
          .description = "Shows what there is.",
          .forms = {"example [OPTIONS] FILE...", "example --check"},
          .arguments = {{.names = {"FILES"}, .value = {}, .description = "what to read"}},
          .options = {{.names = {"-c", "--color"}, .value = "red|blue", .description = "what's [its] color"},
                      {.names = {"--count"}, .value = "N", .description = "how many"},
                      {.names = {"--check"}, .value = {}, .description = "check only"}},
          .notes = ".profile is read\n'quoted' back\\slash"};
}

TEST(ProgramUsage, ThePageHasAllThatThereIsAndNoMacroByAccident) {
  const std::string page = manual_page(example());
  EXPECT_THAT(page, HasSubstr(".TH example 8 "));
  EXPECT_THAT(page, HasSubstr("\\fBexample\\fR [OPTIONS] FILE...\n.br\n\\fBexample\\fR \\-\\-check\n"));
  EXPECT_THAT(page, HasSubstr("\\fB\\-c\\fR, \\fB\\-\\-color\\fR \\fIred|blue\\fR\n"));
  EXPECT_THAT(page, HasSubstr("\\fIFILES\\fR\nwhat to read"));
  EXPECT_THAT(page, HasSubstr("\n\\&.profile is read\n\\&'quoted' back\\eslash\n"));
}

TEST(ProgramUsage, BashCompletesOptionsAndTheirValues) {
  const std::string check =
      "bash -c '" +
      std::string(
          "eval \"$SCRIPT\" && try() { COMP_WORDS=(example \"$@\") COMP_CWORD=$#; _example; echo \"${COMPREPLY[*]}\"; } &&"
          " [ \"$(try --co)\" = \"--color --count\" ] && [ \"$(try -c r)\" = red ] && [ \"$(try --color =)\" = \"red blue\" ] &&"
          " [ \"$(try --color = b)\" = blue ] && [ -z \"$(try --count 1)\" ]'");
  ASSERT_EQ(::setenv("SCRIPT", completion_script(example(), "bash").c_str(), 1), 0);
  EXPECT_EQ(std::system(check.c_str()), 0);
}

TEST(ProgramUsage, OtherShellsHaveAllOptions) {
  EXPECT_THAT(completion_script(example(), "zsh"), HasSubstr("'*--color=[what'\\''s \\[its\\] color]:red|blue:(red blue)'"));
  EXPECT_THAT(completion_script(example(), "fish"), HasSubstr("complete -c example -s c -l color -x -a 'red blue' -d"));
  EXPECT_THAT(completion_script(example(), "fish"), HasSubstr("complete -c example -l check -d 'check only'"));
}

TEST(ProgramUsage, SaysWhereItCannotWrite) {
  const auto written = write_files(example(), "/nonexistent");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("/nonexistent/example.8"));
}

}  // namespace
}  // namespace adyton::usage
