// Completion scripts and man pages hold everything that the command line has.
#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/command_line.h"
#include "cli/manual.h"

namespace adyton::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Completion, HasEveryCommandAndOption) {
  describe_command_line([](const CLI::App& app) {
    for (const char* shell : {"bash", "zsh", "fish"}) {
      const std::string script = completion_script(app, shell);
      for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (command->get_group().empty()) continue;
        EXPECT_THAT(script, HasSubstr(command->get_name())) << shell;
        for (const CLI::Option* option : command->get_options()) {
          for (const std::string& name : option->get_lnames()) EXPECT_THAT(script, HasSubstr(name)) << shell;
        }
      }
      EXPECT_THAT(script, Not(HasSubstr("generate-manual"))) << shell;
    }
  });
}

TEST(Completion, BashTakesTheScript) {
  std::string path = (std::filesystem::temp_directory_path() / "adyton-completion.XXXXXX").string();
  const int fd = ::mkstemp(path.data());
  ASSERT_GE(fd, 0);
  ::close(fd);
  describe_command_line([&](const CLI::App& app) { std::ofstream(path) << completion_script(app, "bash"); });
  const std::string check = "bash -c 'source " + path +
                            " && COMP_WORDS=(adyton ru) COMP_CWORD=1 && _adyton && [ \"${COMPREPLY[*]}\" = run ] &&"
                            " COMP_WORDS=(adyton run --mem) COMP_CWORD=2 && _adyton && [ \"${COMPREPLY[*]}\" = --memory ]'";
  EXPECT_EQ(std::system(check.c_str()), 0);
  std::filesystem::remove(path);
}

TEST(Manual, HasAPageForEachCommand) {
  describe_command_line([](const CLI::App& app) {
    const auto pages = manual_pages(app);
    ASSERT_TRUE(pages.contains("adyton.1"));
    ASSERT_TRUE(pages.contains("adyton-run.1"));
    EXPECT_FALSE(pages.contains("adyton-generate-manual.1"));
    EXPECT_THAT(pages.at("adyton.1"), HasSubstr("adyton\\-console"));
    EXPECT_THAT(pages.at("adyton-run.1"), HasSubstr("\\fB\\-m\\fR, \\fB\\-\\-memory\\fR \\fISIZE\\fR"));
    EXPECT_THAT(pages.at("adyton-console.1"), HasSubstr("~. leaves"));
    for (const auto& [name, text] : pages) {
      EXPECT_THAT(text, Not(HasSubstr("\n'"))) << name;  // no line that roff takes for a macro
    }
  });
}

}  // namespace
}  // namespace adyton::cli
