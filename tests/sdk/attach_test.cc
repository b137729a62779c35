// Commands that stay with a virtual machine, on pipes and on a real terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <tuple>
#include <vector>

#include "tests/sdk/service_fixture.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kKeys = "a all  q quit";
constexpr const char* kScreenEnds = "\033[?7h";  // of what `top` shows

class AttachTest : public ServiceTest {
 protected:
  void SetUp() override { manager = connect(); }  // the service is ours, not that of the first command
  // What has no Linux in it starts soon.
  static void create_raw(const std::string& name, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"create", "--memory", "64M", "--kernel", raw_kernel()});
    options.push_back(name);
    const Told made = tell(std::move(options));
    ASSERT_EQ(made.code, 0) << made.errors;
  }
  static void create(const std::string& name, std::vector<std::string> arguments, bool terminal = false) {
    std::vector<std::string> all = {"create", "--memory", "128M"};
    if (terminal) all.emplace_back("--tty");
    all.insert(all.end(), {name, probe()});
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Told made = tell(std::move(all));
    ASSERT_EQ(made.code, 0) << made.errors;
  }
  // It has been counted how often something is on the terminal: what comes next is another one.
  static bool wait_for_more(Adyton& adyton, const std::string& text, size_t& seen) {
    const auto count = [&] {
      size_t found = 0;
      for (size_t at = 0; (at = adyton.output().find(text, at)) != std::string::npos; at += text.size()) ++found;
      return found;
    };
    while (count() <= seen) {
      if (!adyton.read_more()) return false;
    }
    seen = count();
    return true;
  }

  std::shared_ptr<VirtualMachineManager> manager;
};

// ---- adyton start --attach -------------------------------------------------------------------------------------------

TEST_F(AttachTest, StartWithAttachHasStreamsAndExitCode) {
  create("echo", {"cat"});
  for (const char* flag : {"-a", "--attach"}) {
    Adyton attached({"start", flag, "echo"});
    attached.write("there and back\n");
    ASSERT_TRUE(attached.wait_for("there and back\n")) << attached.errors();
    EXPECT_THAT(tell({"list"}).output, HasSubstr("echo"));
    attached.close_input();
    EXPECT_EQ(attached.finish(), 0) << attached.errors();
    EXPECT_EQ(attached.output(), "there and back\n");
  }
  create("both", {"both"});
  const Told both = tell({"start", "-a", "both"});
  EXPECT_EQ(both.output, "to stdout\n");
  EXPECT_EQ(both.errors, "to stderr\n");
  create("five", {"exit", "5"});
  EXPECT_EQ(tell({"start", "-a", "five"}).code, 5);
  EXPECT_EQ(tell({"wait", "five"}).code, 5) << "and it is kept";
  EXPECT_EQ(*(*manager->get("five"))->getStatus(), VmStatus::kStopped);
}

TEST_F(AttachTest, StartWithAttachPassesSignalsOn) {
  create("signalled", {"wait-signal", std::to_string(SIGTERM)});
  Adyton attached({"start", "-a", "signalled"});
  ASSERT_TRUE(attached.wait_for("ready\n")) << attached.errors();
  attached.signal(SIGTERM);
  EXPECT_EQ(attached.finish(), 3);
  EXPECT_THAT(attached.output(), HasSubstr("signal 15"));
}

TEST_F(AttachTest, StartWithAttachHasTheTerminalThatTheVmWasMadeWith) {
  create("terminal", {"terminal"}, /*terminal=*/true);
  Adyton attached({"start", "-a", "terminal"}, Streams::kTerminal);
  EXPECT_EQ(attached.finish(), 0);
  EXPECT_THAT(attached.output(), HasSubstr("1 1 1 "));
  create("interrupted", {"wait-signal", std::to_string(SIGINT)}, /*terminal=*/true);
  Adyton interrupted({"start", "-a", "interrupted"}, Streams::kTerminal);
  ASSERT_TRUE(interrupted.wait_for("ready"));
  interrupted.write("\x03");
  EXPECT_EQ(interrupted.finish(), 3);
}

TEST_F(AttachTest, StartWithAttachIsRefusedWithAReason) {
  create_raw("running");
  ASSERT_EQ(tell({"start", "running"}).code, 0);
  const Told again = tell({"start", "-a", "running"});
  EXPECT_EQ(again.code, 125);
  EXPECT_THAT(again.errors, HasSubstr("'running' runs already"));
  EXPECT_EQ(*(*manager->get("running"))->getStatus(), VmStatus::kRunning) << "and it still does";
  EXPECT_THAT(tell({"start", "-a", "absent"}).errors, HasSubstr("there is no virtual machine 'absent'"));
  EXPECT_EQ(tell({"kill", "running"}).code, 0);
}

TEST_F(AttachTest, AnAttachedVmOfTheUsersOwnEndsWithItsClient) {
  create_raw("raw");
  Adyton attached({"start", "-a", "raw"}, Streams::kTerminal);
  ASSERT_TRUE(attached.wait_for("raw> "));
  attached.write("x");
  ASSERT_TRUE(attached.wait_for("raw> x"));
  attached.write("\x01x");
  EXPECT_EQ(attached.finish(), 0);
  const auto vm = *manager->get("raw");
  EXPECT_TRUE(vm->waitForStop(kPatience));
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
}

// ---- adyton stop --time ------------------------------------------------------------------------------------------------

TEST_F(AttachTest, StopGivesThePayloadItsTime) {
  create("deaf", {"stubborn"});
  create("obedient", {"last-words"});
  for (const auto& [name, time, code] : {std::tuple("deaf", "0.2", 137), {"obedient", "100000", 6}}) {
    ASSERT_EQ(tell({"start", name}).code, 0);
    Adyton reader({"logs", "-f", name});
    ASSERT_TRUE(reader.wait_for("ready\n"));
    const Told stopped = tell({"stop", "--time", time, name});
    EXPECT_EQ(stopped.code, 0) << stopped.errors;
    reader.finish();
    EXPECT_EQ(tell({"wait", name}).code, code) << "the guest has ended it";
  }
  ASSERT_EQ(tell({"start", "deaf"}).code, 0);
  Adyton reader({"logs", "-f", "deaf"});
  ASSERT_TRUE(reader.wait_for("ready\n"));
  EXPECT_EQ(tell({"stop", "-t", "0", "deaf"}).code, 0);
  reader.finish();
  const Told waited = tell({"wait", "deaf"});
  EXPECT_EQ(waited.code, 125);
  EXPECT_THAT(waited.errors, HasSubstr("the VM was stopped"));
}

// ---- keys ----------------------------------------------------------------------------------------------------------------

TEST_F(AttachTest, ATildeAndADotLeaveTheConsole) {
  create_raw("talker");
  ASSERT_EQ(tell({"start", "talker"}).code, 0);
  Adyton console({"console", "talker"}, Streams::kTerminal);
  ASSERT_TRUE(console.wait_for("raw> "));
  // Two at the beginning of a line are one; behind something else they mean nothing.
  console.write("\r~~1");
  ASSERT_TRUE(console.wait_for("\r~1"));
  console.write("~.2");
  ASSERT_TRUE(console.wait_for("\r~1~.2"));
  EXPECT_FALSE(console.ended());
  console.write("\r~.");
  EXPECT_EQ(console.finish(), 0);
  EXPECT_THAT(console.errors(), Not(HasSubstr("has ended")));
  EXPECT_EQ(*(*manager->get("talker"))->getStatus(), VmStatus::kRunning) << "only the console was left";

  // The first keys are at the beginning of a line, whatever the guest has written.
  Adyton again({"console", "talker"}, Streams::kTerminal);
  ASSERT_TRUE(again.wait_for("raw> "));
  again.write("~.");
  EXPECT_EQ(again.finish(), 0);
  EXPECT_EQ(tell({"kill", "talker"}).code, 0);
}

TEST_F(AttachTest, TheKeysOfTopChooseWhatItShows) {
  create_raw("busy");
  ASSERT_EQ(tell({"start", "busy"}).code, 0);
  // Nothing new is looked at meanwhile: what changes does so by the keys.
  Adyton top({"top", "--interval", "3600"}, Streams::kTerminal);
  ASSERT_TRUE(top.wait_for(kScreenEnds));
  EXPECT_THAT(top.output(), HasSubstr(kKeys));
  EXPECT_THAT(top.output(), HasSubstr("EXITS/S"));
  EXPECT_THAT(top.output(), HasSubstr("busy"));
  const std::pair<const char*, const char*> views[] = {{"2", "IRQS/S"},   {"3", "TABLE WALKS/S"}, {"4", "AVAILABLE"},
                                                       {"5", "CHAINS/S"}, {"6", "FROM GUEST/S"},  {"7", "P99"},
                                                       {"1", "BALLOON"}};
  size_t screens = 1;
  for (const auto& [key, title] : views) {
    const size_t before = top.output().size();
    top.write(key);
    ASSERT_TRUE(wait_for_more(top, kScreenEnds, screens)) << key;
    EXPECT_THAT(top.output().substr(before), HasSubstr(title)) << key;
  }
  size_t before = top.output().size();
  top.write("x");  // means nothing
  ASSERT_TRUE(wait_for_more(top, kScreenEnds, screens));
  EXPECT_THAT(top.output().substr(before), HasSubstr("BALLOON"));
  // All of them, as far as there is room; and again when there is another size.
  before = top.output().size();
  top.resize(200, 150);
  ASSERT_TRUE(wait_for_more(top, kScreenEnds, screens));
  EXPECT_THAT(top.output().substr(before), HasSubstr("UPTIME")) << "which only wide terminals show";
  before = top.output().size();
  top.write("a");
  ASSERT_TRUE(wait_for_more(top, kScreenEnds, screens));
  for (const auto& [key, title] : views) EXPECT_THAT(top.output().substr(before), HasSubstr(title));
  top.write("q");
  EXPECT_EQ(top.finish(), 0);
  Adyton interrupted({"top", "--interval", "3600"}, Streams::kTerminal);
  ASSERT_TRUE(interrupted.wait_for(kScreenEnds));
  interrupted.write("\x03");
  EXPECT_EQ(interrupted.finish(), 0);
  EXPECT_EQ(tell({"kill", "busy"}).code, 0);
}

// Keys and what is not long enough for the terminal do not push each other out.
TEST_F(AttachTest, TopFitsASmallTerminal) {
  create_raw("busy");
  ASSERT_EQ(tell({"start", "busy"}).code, 0);
  Adyton top({"top", "--interval", "3600", "busy"}, Streams::kTerminal);
  ASSERT_TRUE(top.wait_for(kScreenEnds));
  EXPECT_THAT(top.output(), HasSubstr(kKeys));
  size_t screens = 1;
  top.resize(8, 60);
  ASSERT_TRUE(wait_for_more(top, kScreenEnds, screens));
  const std::string screen = top.output().substr(top.output().rfind("\033[H"));
  EXPECT_THAT(screen, HasSubstr(kKeys)) << "whatever else has no room";
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 7);
  // A line that is too long for the terminal is cut there and takes no second one; afterwards the terminal is as it was.
  EXPECT_THAT(top.output(), HasSubstr("\033[?7l\033[H"));
  top.write("q");
  EXPECT_EQ(top.finish(), 0);
  EXPECT_EQ(tell({"kill", "busy"}).code, 0);
}

}  // namespace
}  // namespace adyton::e2e
