#include "service/death.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace adyton::service {
namespace {

using ::testing::HasSubstr;
using vmm::control::Ended;
using vmm::control::EndReason;

Evidence ended(EndReason reason, std::string message = {}) {
  Evidence evidence;
  evidence.ended = Ended{.reason = reason, .message = std::move(message)};
  evidence.exit = ProcessExit{};
  evidence.started = true;
  return evidence;
}
Evidence exited(bool signalled, int value, bool started = true) {
  Evidence evidence;
  evidence.exit = ProcessExit{.signalled = signalled, .value = value, .usage = {}};
  evidence.started = started;
  return evidence;
}

TEST(Death, FollowsWhatTheVmmSaid) {
  EXPECT_EQ(explain(ended(EndReason::kShutdown)).reason, DeathReason::kShutdown);
  EXPECT_EQ(explain(ended(EndReason::kReset)).reason, DeathReason::kReboot);
  EXPECT_EQ(explain(ended(EndReason::kStopped)).reason, DeathReason::kKilled);
  EXPECT_EQ(explain(ended(EndReason::kCrashed, "x\ny")).reason, DeathReason::kCrash);
  EXPECT_THAT(explain(ended(EndReason::kCrashed, "x\ny")).message, HasSubstr("x?y"));
  EXPECT_EQ(explain(ended(EndReason::kWatchdog)).reason, DeathReason::kWatchdogReboot);
  EXPECT_THAT(explain(ended(EndReason::kWatchdog)).message, HasSubstr("watchdog"));
  EXPECT_EQ(explain(ended(EndReason::kInternalError)).reason, DeathReason::kInfrastructureError);
  EXPECT_EQ(explain(ended(EndReason::kForbiddenCall, "ptrace")).reason, DeathReason::kKilled);
  EXPECT_THAT(explain(ended(EndReason::kForbiddenCall, "ptrace")).message, HasSubstr("sandbox: ptrace"));
  Evidence early = ended(EndReason::kInternalError, "no memory");
  early.started = false;
  EXPECT_EQ(explain(early).reason, DeathReason::kStartFailed);
}

TEST(Death, FollowsHowTheProcessEnded) {
  EXPECT_EQ(explain(exited(true, SIGSEGV)).reason, DeathReason::kKilled);
  EXPECT_THAT(explain(exited(true, SIGSEGV)).message, HasSubstr("signal 11"));
  EXPECT_THAT(explain(exited(true, SIGKILL)).message, HasSubstr("out of memory"));
  EXPECT_THAT(explain(exited(true, SIGSYS)).message, HasSubstr("sandbox"));
  EXPECT_EQ(explain(exited(false, 1)).reason, DeathReason::kUnknown);
  EXPECT_EQ(explain(exited(false, 1, false)).reason, DeathReason::kStartFailed);
  Evidence words = exited(false, 1);
  words.last_words = "no such thing";
  EXPECT_THAT(explain(words).message, HasSubstr("status 1: no such thing"));
  EXPECT_EQ(explain({}).reason, DeathReason::kInfrastructureError);
}

TEST(Death, AKernelPanicIsTheReason) {
  Evidence evidence = ended(EndReason::kReset);
  evidence.console = "boot\r\n[ 1.0] Kernel panic - not syncing: VFS: \x1b[1m no root\r\n[ 1.1] CPU: 0\r\n";
  const Death death = explain(evidence);
  EXPECT_EQ(death.reason, DeathReason::kCrash);
  EXPECT_EQ(death.message, "the guest's kernel panicked: VFS: \\x1b[1m no root");
}

TEST(Death, OurOwnReasonComesFirst) {
  Evidence evidence = exited(true, SIGKILL);
  evidence.intended = Death{DeathReason::kHangup, "it hung"};
  EXPECT_EQ(explain(evidence).reason, DeathReason::kHangup);
}

TEST(Death, NamesLevels) {
  EXPECT_EQ(isolation_from("process"), IsolationLevel::kProcess);
  EXPECT_EQ(isolation_from("both"), std::nullopt);
}

}  // namespace
}  // namespace adyton::service
