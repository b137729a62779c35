#include "hypervisor/kvm_probe.h"

#include <gtest/gtest.h>

namespace adyton::hypervisor {
namespace {

TEST(KvmProbe, JudgesByMeasurement) {
  EXPECT_EQ(judge_kvm(1.0, 1.5).state, KvmReport::State::kUsable);
  EXPECT_EQ(judge_kvm(1.1, 25).state, KvmReport::State::kUsable);
  EXPECT_EQ(judge_kvm(300, 1.5).state, KvmReport::State::kSlow);
  EXPECT_EQ(judge_kvm(1.0, 500).state, KvmReport::State::kSlow);
}

TEST(KvmProbe, AlwaysHasAnAnswerAndAReason) {
  const KvmReport report = probe_kvm();
  EXPECT_FALSE(report.reason.empty());
  EXPECT_EQ(report.state == KvmReport::State::kUsable, report.loop_ratio > 0 && report.state != KvmReport::State::kSlow);
}

}  // namespace
}  // namespace adyton::hypervisor
