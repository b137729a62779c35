#include "vmm/gdb/session.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/gdb/testing/played_target.h"

namespace adyton::vmm::gdb {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::PlayedTarget;
using testing::PlayedVcpu;
using ::testing::StartsWith;

constexpr uint64_t kCode = PlayedVcpu::kVirtual + 0x100;
constexpr GuestPhysAddr kCodePhysical = PlayedVcpu::kPhysical + 0x100;
constexpr uint32_t kNop = 0xd503201f, kBrk = 0xd4200000;
constexpr uint32_t kBreakpointClass = 0x30, kStepClass = 0x32, kWatchpointClass = 0x34, kBrkClass = 0x3c;

class GdbSession : public ::testing::Test {
 protected:
  GdbSession() { EXPECT_TRUE(target_.memory().store(kCodePhysical, kNop)); }

  // The data of the packets that answer, with a space between two.
  std::string packets() {
    PacketReader reader;
    std::string all;
    for (const auto& event : reader.feed(session_.take_output())) {
      if (event.kind == PacketReader::Kind::kPacket) all += (all.empty() ? "" : " ") + event.data;
    }
    return all;
  }
  std::string ask(const std::string& packet) {
    session_.receive(encode_packet(packet));
    return packets();
  }
  std::string check() {
    session_.check();
    return packets();
  }
  std::string command(std::string_view line) { return *from_hex(ask("qRcmd," + to_hex(line))); }

  PlayedTarget target_;
  Session session_{target_};
};

TEST_F(GdbSession, TheGuestStandsStillFromTheFirstPacketOn) {
  EXPECT_THAT(target_.running, ElementsAre(true, true));
  EXPECT_THAT(ask("qSupported:swbreak+;hwbreak+"), HasSubstr("PacketSize=4000;qXfer:features:read+"));
  EXPECT_THAT(target_.running, ElementsAre(false, false));
  EXPECT_EQ(ask("?"), "T05thread:1;");
  EXPECT_EQ(ask("D"), "OK");
  EXPECT_TRUE(session_.over());
  EXPECT_THAT(target_.running, ElementsAre(true, true));
}

TEST_F(GdbSession, ADebuggerThatIsGoneHasDetached) {
  {
    Session session(target_);
    session.receive(encode_packet(fmt::format("Z0,{:x},4", kCode)));
    EXPECT_EQ(*target_.memory().load<uint32_t>(kCodePhysical), kBrk);
    EXPECT_THAT(target_.running, ElementsAre(false, false));
  }
  EXPECT_EQ(*target_.memory().load<uint32_t>(kCodePhysical), kNop);
  EXPECT_FALSE(target_.vcpu(0).debug.enable);
  EXPECT_THAT(target_.running, ElementsAre(true, true));
}

TEST_F(GdbSession, AcknowledgesUntilItNeedNot) {
  session_.receive(encode_packet("qC"));
  EXPECT_EQ(session_.take_output(), "+$QC1#c5");
  session_.receive("-");
  EXPECT_EQ(session_.take_output(), "$QC1#c5");
  session_.receive("-");  // only once
  EXPECT_EQ(session_.take_output(), "");
  session_.receive("$qC#00");
  EXPECT_EQ(session_.take_output(), "-");
  session_.receive(encode_packet("QStartNoAckMode"));
  EXPECT_EQ(session_.take_output(), "+$OK#9a");
  session_.receive(encode_packet("qC"));
  EXPECT_EQ(session_.take_output(), "$QC1#c5");
}

TEST_F(GdbSession, ThreadsAreVcpus) {
  EXPECT_EQ(ask("qfThreadInfo"), "m1,2");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(*from_hex(ask("qThreadExtraInfo,2")), "vCPU 1 [on]");
  EXPECT_EQ(ask("T2"), "OK");
  EXPECT_EQ(ask("T3"), "E03");
  EXPECT_EQ(ask("Hg3"), "E03");
  ASSERT_TRUE(target_.vcpu(1).set_reg(hypervisor::reg_x(0), 0x1122));
  EXPECT_EQ(ask("Hg2"), "OK");
  EXPECT_EQ(ask("p0"), "2211000000000000");
  EXPECT_EQ(ask("Hg-1"), "OK");
  EXPECT_EQ(ask("qC"), "QC2");
}

TEST_F(GdbSession, RegistersOfAllKinds) {
  EXPECT_EQ(ask("P21=c5030000"), "OK");  // cpsr: EL1h
  EXPECT_EQ(ask("P1f=0100000000000000"), "OK");
  EXPECT_EQ(*target_.vcpu(0).get_reg(hypervisor::kRegSpEl1), 1u);
  EXPECT_EQ(*target_.vcpu(0).get_reg(hypervisor::kRegSp), 0u);
  EXPECT_EQ(ask("P22=" + std::string(32, 'a')), "OK");  // v0
  EXPECT_EQ(ask("p22"), std::string(32, 'a'));
  EXPECT_EQ(ask("P22=aa"), "E15");
  EXPECT_EQ(ask("pffff"), "E15");
  const std::string all = ask("g");
  EXPECT_EQ(all.size(), 2u * (31 * 8 + 8 + 8 + 4 + 32 * 16 + 4 + 4));
  EXPECT_EQ(ask("G" + all), "OK");
  EXPECT_EQ(ask("g"), all);
  EXPECT_EQ(ask("G00"), "E01");
  std::string description;
  for (std::string part = "m"; part.front() == 'm';) {
    part = ask(fmt::format("qXfer:features:read:target.xml:{:x},200", description.size()));
    description += part.substr(1);
  }
  EXPECT_THAT(description, HasSubstr("name=\"VBAR_EL1\""));
  EXPECT_THAT(description, HasSubstr("org.gnu.gdb.aarch64.fpu"));
}

TEST_F(GdbSession, MemoryEndsWhereNothingIsMapped) {
  EXPECT_EQ(ask(fmt::format("M{:x},4:01020304", PlayedVcpu::kVirtual)), "OK");
  EXPECT_EQ(ask(fmt::format("X{:x},2:}}\x03z", PlayedVcpu::kVirtual + 4)), "OK");  // '#' escaped
  EXPECT_EQ(ask(fmt::format("m{:x},6", PlayedVcpu::kVirtual)), "01020304237a");
  EXPECT_THAT(target_.written, ElementsAre(std::pair(PlayedVcpu::kPhysical, 4u), std::pair(PlayedVcpu::kPhysical + 4, 2u)));
  const uint64_t end = PlayedVcpu::kVirtual + PlayedVcpu::kMapped;
  EXPECT_EQ(ask(fmt::format("m{:x},8", end - 2)), "0000");
  EXPECT_EQ(ask(fmt::format("m{:x},8", end)), "E14");
  EXPECT_EQ(ask(fmt::format("M{:x},4:01020304", end - 2)), "E14");
  EXPECT_EQ(ask("mffffffffffffffff,ffffffffffffffff"), "E14");
  EXPECT_EQ(ask("m0,1"), "E14");
  EXPECT_EQ(ask("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(ask(fmt::format("m{:x},4", PlayedVcpu::kPhysical)), "01020304");
  EXPECT_EQ(ask("m0,1"), "E14");
  EXPECT_EQ(ask("Qqemu.PhyMemMode:2"), "E01");
}

TEST_F(GdbSession, SoftwareBreakpointsAreInMemoryButNotSeen) {
  ask("qSupported:swbreak+;hwbreak+");
  EXPECT_EQ(ask(fmt::format("Z0,{:x},4", kCode)), "OK");
  EXPECT_EQ(*target_.memory().load<uint32_t>(kCodePhysical), kBrk);
  EXPECT_EQ(ask(fmt::format("m{:x},4", kCode)), "1f2003d5");
  EXPECT_EQ(ask(fmt::format("M{:x},2:aabb", kCode)), "OK");
  EXPECT_EQ(*target_.memory().load<uint32_t>(kCodePhysical), kBrk);
  EXPECT_EQ(ask(fmt::format("m{:x},4", kCode)), "aabb03d5");
  EXPECT_EQ(ask("vCont;c"), "");
  EXPECT_TRUE(target_.vcpu(0).debug.software_breakpoints);
  EXPECT_THAT(target_.running, ElementsAre(true, true));
  ASSERT_TRUE(target_.vcpu(1).set_reg(hypervisor::kRegPc, kCode));
  target_.stops(1, kBrkClass);
  EXPECT_EQ(check(), "T05thread:2;swbreak:;");
  EXPECT_EQ(ask("qC"), "QC2");
  EXPECT_EQ(ask(fmt::format("z0,{:x},4", kCode)), "OK");
  EXPECT_EQ(*target_.memory().load<uint32_t>(kCodePhysical), 0xd503bbaau);
}

TEST_F(GdbSession, TheGuestGetsItsOwnBreakpoints) {
  ask(fmt::format("Z0,{:x},4", kCode));
  ask("vCont;c");
  ASSERT_TRUE(target_.vcpu(0).set_reg(hypervisor::kRegPc, kCode + 64));
  ASSERT_TRUE(target_.vcpu(0).set_reg(hypervisor::kRegPstate, 0x5));
  ASSERT_TRUE(target_.vcpu(0).set_reg(PlayedVcpu::kVbarEl1, 0x8000));
  target_.stops(0, kBrkClass, 0x800);
  EXPECT_EQ(check(), "");
  EXPECT_THAT(target_.running, ElementsAre(true, true));
  EXPECT_EQ(*target_.vcpu(0).get_reg(hypervisor::kRegPc), 0x8200u);
  EXPECT_EQ(*target_.vcpu(0).get_reg(hypervisor::kRegElrEl1), kCode + 64);
  EXPECT_EQ(*target_.vcpu(0).get_reg(PlayedVcpu::kEsrEl1) >> 26, kBrkClass);
}

TEST_F(GdbSession, HardwareBreakpointsAndWatchpointsAreAsManyAsThereAre) {
  ask("qSupported:swbreak+;hwbreak+");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(fmt::format("Z1,{:x},4", 0x1000 + 4 * i)), "OK");
  EXPECT_EQ(ask("Z1,2000,4"), "E1c");
  EXPECT_EQ(ask("Z1,1000,4"), "OK");  // there already
  EXPECT_EQ(ask("Z1,1001,4"), "E1c");
  EXPECT_EQ(ask("z1,1000,4"), "OK");
  EXPECT_EQ(ask("Z2,2000,20"), "OK");  // one with a mask
  EXPECT_EQ(ask("Z3,3004,8"), "OK");   // two doublewords
  EXPECT_EQ(ask("Z4,4001,9"), "E1c");  // two more do not fit
  EXPECT_EQ(ask("Z4,4001,2"), "OK");
  EXPECT_EQ(ask("Z2,0,ffffffffffffffff"), "E1c");
  EXPECT_EQ(ask("c"), "");
  const hypervisor::GuestDebug& debug = target_.vcpu(1).debug;
  EXPECT_TRUE(debug.enable && debug.hardware);
  EXPECT_EQ(debug.dbg_wvr[0], 0x2000u);
  EXPECT_EQ(debug.dbg_wcr[0] >> 24, 5u);
  EXPECT_EQ(debug.dbg_wvr[1], 0x3000u);
  EXPECT_EQ((debug.dbg_wcr[1] >> 5) & 0xff, 0xf0u);
  EXPECT_EQ((debug.dbg_wcr[2] >> 5) & 0xff, 0x0fu);
  ASSERT_TRUE(target_.vcpu(0).set_reg(hypervisor::kRegPc, 0x1004));
  target_.stops(0, kBreakpointClass);
  EXPECT_EQ(check(), "T05thread:1;hwbreak:;");
  ask("c");
  target_.stops(1, kWatchpointClass, 0, 0x3006);
  EXPECT_EQ(check(), "T05thread:2;rwatch:3006;");
}

TEST_F(GdbSession, StepsOneThreadAndLetsTheOthersStandOrRun) {
  ask("vCont;s:2");
  EXPECT_THAT(target_.running, ElementsAre(false, true));
  EXPECT_TRUE(target_.vcpu(1).debug.single_step);
  target_.stops(1, kStepClass);
  EXPECT_EQ(check(), "T05thread:2;");
  ask("vCont;s:1;c");
  EXPECT_THAT(target_.running, ElementsAre(true, true));
  EXPECT_TRUE(target_.vcpu(0).debug.single_step);
  EXPECT_FALSE(target_.vcpu(1).debug.single_step);
  target_.stops(0, kStepClass);
  check();
  for (const char* bad : {"vCont;", "vCont;x", "vCont;s:9", "vCont;c:1:2", "s zz", "C"}) {
    EXPECT_NE(ask(bad), "OK") << bad;
    EXPECT_THAT(target_.running, ElementsAre(false, false)) << bad;
  }
}

TEST_F(GdbSession, AnInterruptStopsWhatRuns) {
  session_.receive("\x03");
  EXPECT_EQ(session_.take_output(), "");  // before the first packet it means nothing
  ask("c");
  EXPECT_EQ(ask("qC"), "E16");  // it waits for the stop reply
  session_.receive("\x03");
  EXPECT_EQ(packets(), "T02thread:1;");
  EXPECT_THAT(target_.running, ElementsAre(false, false));
}

TEST_F(GdbSession, TellsTheEnd) {
  ask("c");
  target_.ended = Target::End{};
  EXPECT_EQ(check(), "W00");
  EXPECT_TRUE(session_.over());
}

TEST_F(GdbSession, TellsACrash) {
  ask("c");
  target_.ended = Target::End{6};
  EXPECT_EQ(check(), "X06");
}

TEST_F(GdbSession, KillsWhenTheAnswerIsSent) {
  EXPECT_EQ(ask("vKill;1"), "OK");
  EXPECT_TRUE(session_.kill());
  EXPECT_TRUE(session_.over());
  EXPECT_FALSE(target_.killed);  // whoever sends the answer does
}

TEST_F(GdbSession, MonitorCommands) {
  EXPECT_THAT(command("help"), HasSubstr("info registers"));
  EXPECT_THAT(command("info cpus"), HasSubstr("vCPU 1: on"));
  EXPECT_THAT(command("info sysregs"), HasSubstr("VBAR_EL1"));
  EXPECT_THAT(command("info memory"), HasSubstr("0x40000000-0x4000ffff"));
  EXPECT_EQ(command(fmt::format("pa {:#x}", kCode)), fmt::format("{:#x}\n", kCodePhysical));
  EXPECT_EQ(command("pa 0"), "nothing is mapped at 0x0\n");
  EXPECT_THAT(command(fmt::format("xp/2 {:#x}", kCodePhysical)), HasSubstr("0x00000000d503201f"));
  EXPECT_THAT(command("xp 0x0"), HasSubstr("there is no memory"));
  EXPECT_THAT(command("xp/0 0x0"), HasSubstr("a count is"));
  EXPECT_THAT(command("fly"), HasSubstr("there is no such command"));
  EXPECT_EQ(ask("qRcmd,0"), "E01");
}

TEST_F(GdbSession, WhatItDoesNotKnowHasAnEmptyAnswer) {
  for (const char* packet : {"", "qOffsets", "vMustReplyEmpty", "Qfly", "!", "Z5,0,4", "Z0,0,4;cond"})
    EXPECT_EQ(ask(packet), "") << packet;
  for (const char* packet : {"m", "m0", "M0,1:0", "P0", "p", "Hx1", "Z0,0", "Z9", "qXfer:features:read:target.xml:x"}) {
    EXPECT_THAT(ask(packet), StartsWith("E")) << packet;
  }
}

}  // namespace
}  // namespace adyton::vmm::gdb
