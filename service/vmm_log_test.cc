#include "service/vmm_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log/testing.h"

namespace adyton::service {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view kLine =
    R"({"time":"2026-03-02T10:15:00.123456Z","level":"warning","component":"virtio","pid":1,"device":"block","queue":-1,"message":"broken"})"
    "\n";

class VmmLogTest : public testing::Test {
 protected:
  VmmLogTest() { log.set_pid(4711); }
  log::CapturedLog captured;
  VmmLog log{log::Logger("vm", {{"vm", "demo"}, {"cid", 17}})};
};

TEST_F(VmmLogTest, PassesLinesOnWithTheNameOfTheVm) {
  log.take(kLine);
  EXPECT_THAT(captured.lines(), ElementsAre("warning virtio[4711] vm=demo cid=17 device=block queue=-1: broken"));
  EXPECT_EQ(log.last_words(), "") << "a warning is no reason to die of";
}

TEST_F(VmmLogTest, PutsLinesTogetherFromAnyPieces) {
  std::string all;
  for (int i = 0; i < 3; ++i) all += kLine;
  for (const char c : all) log.take({&c, 1});
  EXPECT_THAT(captured.lines(), SizeIs(3));
}

TEST_F(VmmLogTest, TakesWhatIsNoLineOfOursForAnError) {
  log.take("malloc(): corrupted top size\n");
  EXPECT_EQ(log.last_words(), "malloc(): corrupted top size");
  log.take(R"({"level":"error","component":"vmm","message":"cannot make the sandbox"})");
  log.finish();  // a process that dies may not end its line
  EXPECT_EQ(log.last_words(), "cannot make the sandbox");
  EXPECT_THAT(captured.lines(), ElementsAre("error vmm[4711] vm=demo cid=17: malloc(): corrupted top size",
                                            "error vmm[4711] vm=demo cid=17: cannot make the sandbox"));
}

TEST_F(VmmLogTest, BelievesNothingThatAVmSaysOfAnother) {
  log.take(
      R"({"level":"info","component":"virtio","vm":"other","cid":3,"pid":1,"time":"x","a\nb":"c","Vm":"x","message":"m\nvm=other"})"
      "\n");
  EXPECT_THAT(captured.lines(), ElementsAre("info virtio[4711] vm=demo cid=17: m\\nvm=other"));
}

TEST_F(VmmLogTest, TakesMalformedLinesAsTheyAre) {
  for (const char* const line :
       {R"({"level":"loud","component":"a","message":"b"})", R"({"level":"off","component":"a","message":"b"})",
        R"({"level":"info","component":"A B","message":"b"})", R"({"level":"info","component":"a"})", "{", "{}", "[]", "\x1b[2J",
        R"({"level":1,"component":"a","message":"b"})", R"({"level":"info","component":"a","message":{}})"}) {
    const VmmLine parsed = parse_vmm_line(line);
    EXPECT_EQ(parsed.level, log::Level::kError) << line;
    EXPECT_EQ(parsed.message, line);
    EXPECT_EQ(parsed.component, "vmm");
    EXPECT_THAT(parsed.fields, IsEmpty());
  }
}

TEST_F(VmmLogTest, BoundsTheLengthOfALine) {
  log.take(std::string(1 << 20, 'x') + "\n" + std::string(kLine));
  const auto lines = captured.lines();
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_LT(lines[0].size(), log::Line::kCapacity);
  EXPECT_EQ(log.last_words().size(), VmmLog::kMaxLine);
  EXPECT_THAT(lines[1], EndsWith("broken"));
}

TEST_F(VmmLogTest, BoundsTheNumberOfFields) {
  std::string line = R"({"level":"info","component":"a","message":"b")";
  for (char c = 'a'; c <= 'z'; ++c) line += std::string(",\"") + c + "\":1";
  EXPECT_THAT(parse_vmm_line(line + "}").fields, SizeIs(VmmLog::kMaxFields));
}

TEST_F(VmmLogTest, BoundsTheNumberOfLinesOfAVmmThatIsOutOfControl) {
  const auto begin = log::RateLimit::Clock::now();
  constexpr size_t kLines = 20'000;
  for (size_t i = 0; i < kLines; ++i) log.take(i % 2 == 0 ? kLine : "garbage\n");
  log.finish();
  const auto lines = captured.lines();
  const auto more = static_cast<size_t>((log::RateLimit::Clock::now() - begin) / VmmLog::kInterval);
  EXPECT_GE(lines.size(), VmmLog::kBurst);
  EXPECT_LE(lines.size(), 2 * (VmmLog::kBurst + more + 1));
  EXPECT_THAT(lines.back(), HasSubstr(" vm=demo cid=17 suppressed="));
  EXPECT_THAT(lines.back(), EndsWith("messages suppressed: lines of the VM's process"));
}

}  // namespace
}  // namespace adyton::service
