#include "cli/mistake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options.h"

namespace adyton::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string mistake(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "adyton");
  const auto command = parse_command_line(arguments);
  return command ? "" : command.error().message;
}

TEST(Mistake, NamesACommandThatThereIsNot) {
  EXPECT_EQ(mistake({"rnu", "./x"}), "'rnu' is no command of 'adyton'; did you mean 'run'? (see 'adyton --help')");
  EXPECT_EQ(mistake({"ps"}), "'ps' is no command of 'adyton'; did you mean 'list'? (see 'adyton --help')");
  EXPECT_EQ(mistake({"rm", "-f", "web"}), "'-f' is no option of 'adyton' (see 'adyton --help')");
  EXPECT_EQ(mistake({"rm", "web"}), "'rm' is no command of 'adyton'; did you mean 'delete'? (see 'adyton --help')");
  EXPECT_EQ(mistake({"somersault"}), "'somersault' is no command of 'adyton' (see 'adyton --help')");
  EXPECT_EQ(mistake({}), "say what to do: a command is missing (see 'adyton --help')");
}

TEST(Mistake, NamesTheOptionAndNotWhatStandsBesideIt) {
  EXPECT_EQ(mistake({"run", "--memroy", "1G", "./t"}),
            "'--memroy' is no option of 'adyton run'; did you mean '--memory'? (see 'adyton run --help')");
  EXPECT_EQ(mistake({"run", "--append", "--odd", "-Z", "./t"}), "'-Z' is no option of 'adyton run' (see 'adyton run --help')");
  EXPECT_EQ(mistake({"run", "--frobnicate=7", "./t"}), "'--frobnicate' is no option of 'adyton run' (see 'adyton run --help')");
  EXPECT_THAT(mistake({"exec", "-z", "vm", "--", "/bin/sh", "-c"}), StartsWith("'-z' is no option of 'adyton exec'"));
}

TEST(Mistake, NamesWhatIsTooMuchAndWhatIsMissing) {
  EXPECT_EQ(mistake({"doctor", "who"}), "'who' is too much for 'adyton doctor' (see 'adyton doctor --help')");
  EXPECT_EQ(mistake({"stop"}), "NAME is required (see 'adyton stop --help')");
  EXPECT_EQ(mistake({"run", "--smp"}), "--smp needs a N (see 'adyton run --help')");
  EXPECT_EQ(mistake({"run", "--smp", "x", "./t"}),
            "'x' is no value for --smp, which takes a number (N) (see 'adyton run --help')");
}

TEST(Mistake, HabitsAreNone) {
  EXPECT_EQ(mistake({"run", "-it", "./t"}), "");
  EXPECT_EQ(mistake({"exec", "-it", "vm", "sh"}), "");
  for (const auto& words : {std::vector<std::string>{"help"}, {"help", "run"}, {"version"}}) EXPECT_EQ(mistake(words), "");
}

TEST(Nearest, IsASlipOfThePenAway) {
  const std::vector<std::string> known = {"start", "stop", "list"};
  EXPECT_EQ(nearest("strat", known), "start");
  EXPECT_EQ(nearest("sto", known), "stop");
  EXPECT_EQ(nearest("lsit", known), "list");
  EXPECT_EQ(nearest("banana", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 's'), known), "");
}

TEST(Usage, IsSaidWithTheProgramsNameAndThePayload) {
  const auto help = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "adyton");
    auto command = parse_command_line(arguments);
    const auto* text = command ? std::get_if<PrintText>(&*command) : nullptr;
    return text ? text->text : "";
  };
  EXPECT_THAT(help({"cp", "--help"}), HasSubstr("Usage: adyton cp [OPTIONS] SOURCE TARGET\n"));
  EXPECT_THAT(help({"create", "--help"}), HasSubstr("Usage: adyton create [OPTIONS] NAME PAYLOAD [ARGS...]\n"));
  EXPECT_THAT(help({"help", "exec"}),
              AllOf(HasSubstr("Usage: adyton exec [OPTIONS] NAME [--] PROGRAM [ARGS...]\n"), Not(HasSubstr("Usage: exec"))));
  EXPECT_EQ(help({"help"}), help({"--help"}));
}

}  // namespace
}  // namespace adyton::cli
