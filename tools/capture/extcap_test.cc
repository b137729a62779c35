#include "tools/capture/extcap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace adyton::capture {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Extcap, UnderstandsWhatWiresharkAsks) {
  EXPECT_EQ(parse_extcap({"--extcap-interfaces", "--extcap-version=4.0"})->action, ExtcapAction::kInterfaces);
  EXPECT_EQ(parse_extcap({})->action, ExtcapAction::kHelp);
  EXPECT_EQ(parse_extcap({"--version"})->action, ExtcapAction::kVersion);
  auto command = parse_extcap({"--extcap-dlts", "--extcap-interface", "adyton-demo"});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->action, ExtcapAction::kLinkTypes);
  EXPECT_EQ(command->vm, "demo");
  EXPECT_EQ(
      parse_extcap({"--extcap-config", "--extcap-interface=adyton-demo", "--extcap-reload-option", "x", "--extcap-new"})->action,
      ExtcapAction::kConfig);
  command = parse_extcap({"--capture", "--extcap-interface", "adyton-my-vm", "--fifo", "/tmp/fifo", "--port", "5000, 6000",
                          "--snaplen", "96", "--extcap-capture-filter", "port 7000"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(command->action, ExtcapAction::kCapture);
  EXPECT_EQ(command->vm, "my-vm");
  EXPECT_EQ(command->fifo, "/tmp/fifo");
  EXPECT_EQ(command->snaplen, 96u);
  EXPECT_THAT(command->ports, ElementsAre(5000, 6000, 7000));
}

TEST(Extcap, ChecksCaptureFilters) {
  const auto check = [](const std::string& filter) {
    return parse_extcap({"--extcap-interface", "adyton-demo", "--extcap-capture-filter", filter})->filter_error;
  };
  EXPECT_EQ(check(""), "");
  EXPECT_EQ(check("port 1"), "");
  EXPECT_EQ(check("  port 1 or  port 4294967295 "), "");
  for (const char* wrong :
       {"tcp", "port", "port x", "port 1 port 2", "port 1 or", "port 1 or port", "port -1", "port 4294967296", "or port 1"})
    EXPECT_THAT(check(wrong), testing::Not("")) << wrong;
  EXPECT_FALSE(parse_extcap({"--capture", "--extcap-interface", "adyton-a", "--fifo", "f", "--extcap-capture-filter", "tcp"}));
}

TEST(Extcap, RefusesWhatItCannotDo) {
  EXPECT_THAT(parse_extcap({"--extcap-dlts"}).error().message, HasSubstr("adyton-NAME"));
  EXPECT_FALSE(parse_extcap({"--extcap-dlts", "--extcap-interface", "eth0"}));
  EXPECT_FALSE(parse_extcap({"--extcap-dlts", "--extcap-interface", "adyton-"}));
  EXPECT_FALSE(parse_extcap({"--extcap-dlts", "--extcap-interface", "adyton-a}{value=b"}));
  EXPECT_FALSE(parse_extcap({"--extcap-dlts", "--extcap-interface"}));
  EXPECT_FALSE(parse_extcap({"--capture", "--extcap-interface", "adyton-a"})) << "without a fifo";
  EXPECT_FALSE(parse_extcap({"--capture", "--extcap-interface", "adyton-a", "--fifo", "f", "--port", "x"}));
  EXPECT_THAT(parse_extcap({"--nonsense\x1b[31m"}).error().message, HasSubstr("--nonsense?[31m"));
  std::string many = "1";
  for (int i = 2; i < 100; ++i) many += "," + std::to_string(i);
  EXPECT_FALSE(parse_port_list(many));
}

TEST(Extcap, KnowsWhereSomebodyWaitsForWhatItRefuses) {
  const std::vector<std::string> refused = {"--capture",  "--extcap-interface",      "adyton-one", "--fifo", "/tmp/pipe",
                                            "--mistaken", "--extcap-capture-filter", "tcp port 80"};
  EXPECT_FALSE(parse_extcap(refused));
  EXPECT_EQ(waiting_fifo(refused), "/tmp/pipe");
  EXPECT_EQ(waiting_fifo({"--fifo=/tmp/pipe", "--capture"}), "/tmp/pipe");
  EXPECT_EQ(waiting_fifo({"--capture", "--fifo"}), "");
  EXPECT_EQ(waiting_fifo({"--extcap-config", "--fifo", "/tmp/pipe"}), "");
}

TEST(Extcap, AnswersInSentences) {
  EXPECT_EQ(extcap_interfaces({"demo", "a b", "x}{y", "z"}, "0.1.0"),
            "extcap {version=0.1.0}{display=Adyton virtual machines}\n"
            "interface {value=adyton-demo}{display=vsock of Adyton VM demo}\n"
            "interface {value=adyton-z}{display=vsock of Adyton VM z}\n");
  EXPECT_EQ(extcap_link_types(), "dlt {number=271}{name=VSOCK}{display=Linux vsock}\n");
}

}  // namespace
}  // namespace adyton::capture
