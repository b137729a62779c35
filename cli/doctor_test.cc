#include "cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace adyton::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Doctor, ReportsTheIsolationLevelsHonestly) {
  const std::string report = doctor({});
  EXPECT_THAT(report, HasSubstr("Isolation none"));
  EXPECT_THAT(report, HasSubstr("process"));
  EXPECT_THAT(report, HasSubstr("hypervisor"));
  EXPECT_THAT(report, HasSubstr("not available"));
}

TEST(Doctor, WhatIsMissingIsMarked) {
  const std::vector<Finding> good = {{Finding::State::kGood, "Programs", "all there"}};
  EXPECT_THAT(format_report(good, {}), HasSubstr("Ready"));
  const std::vector<Finding> bad = {{Finding::State::kMissing, "Programs", "mkfs.erofs is missing"}};
  EXPECT_THAT(format_report(bad, {}), HasSubstr("! Programs"));
  EXPECT_THAT(format_report(bad, {}), Not(HasSubstr("Ready")));
}

TEST(Doctor, JsonIsJson) {
  const auto parsed = nlohmann::json::parse(format_report({{Finding::State::kNote, "a \"b\"", "c\nd"}}, {.json = true}));
  EXPECT_EQ(parsed[0]["subject"], "a \"b\"");
  EXPECT_EQ(parsed[0]["state"], "note");
}

TEST(Doctor, SaysWhatTheSandboxLacks) {
  const Finding whole = sandbox_finding({{"empty root", true, ""}, {"system call filters", true, ""}});
  EXPECT_EQ(whole.state, Finding::State::kGood);
  EXPECT_EQ(whole.text, "each VM's process has empty root, system call filters");
  const Finding part = sandbox_finding({{"user namespace", false, "the host refuses it"}, {"system call filters", true, ""}});
  EXPECT_EQ(part.state, Finding::State::kNote);
  EXPECT_EQ(part.text, "each VM's process has system call filters; not in force: user namespace (the host refuses it)");
  EXPECT_EQ(sandbox_finding({}).state, Finding::State::kNote);
}

TEST(Doctor, KvmIsDescribedByItsMeasurement) {
  EXPECT_THAT(kvm_finding(hypervisor::judge_kvm(400, 3)).text, HasSubstr("too slow"));
  EXPECT_THAT(kvm_finding(hypervisor::judge_kvm(1, 3)).text, HasSubstr("not used yet"));
}

}  // namespace
}  // namespace adyton::cli
