// Disks that are full, and processes without descriptors.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/faults/private_mounts.h"
#include "tests/faults/rig.h"

namespace adyton::faults {
namespace {

namespace fs = std::filesystem;

// ---- a full disk ---------------------------------------------------------------------------------------------------------

TEST(FullDisk, OfRecords) {
  in_private_mounts([] {
    Rig rig;
    limit_folder(rig.service().folder() + "/data", 256);
    rig.start();
    rig.measure();
    int refused = 0;
    for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
      const uint32_t left = random_below(40);
      SCOPED_TRACE(fmt::format("{} KiB left", left));
      {
        const Filler filler(rig.service().folder() + "/data", left);
        const auto client = rig.client({"churn", ADYTON_FAULT_PAYLOAD, "12"});
        EXPECT_EQ(client->finish(), 0) << client->transcript();
        if (client->said("refused")) {
          ++refused;
          EXPECT_NE(client->transcript().find("No space left"), std::string::npos) << client->transcript();
        }
        const auto check = rig.client({"check", ADYTON_FAULT_KERNEL});
        EXPECT_EQ(check->finish(), 0) << check->transcript();  // reading and deleting need no room
      }
      const auto again = rig.client({"churn", ADYTON_FAULT_PAYLOAD, "8"});
      EXPECT_EQ(again->finish(), 0) << again->transcript();
      EXPECT_FALSE(again->said("refused")) << again->transcript();
      rig.expect_nothing_left();
    }
    EXPECT_GT(refused, 0);
    fmt::print("rounds with something refused: {}\n", refused);
    rig.report("records on a full disk");
  });
}

TEST(FullDisk, OfTheCache) {
  const char* home = std::getenv("HOME");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const fs::path own = cache != nullptr ? fs::path(cache) / "adyton" : fs::path(home != nullptr ? home : "/") / ".cache/adyton";
  in_private_mounts([&] {
    Rig rig;
    rig.start();
    rig.measure();  // which fills the user's cache
    const std::string folder = rig.service().folder() + "/cache";
    const std::string environment = "XDG_CACHE_HOME=" + folder;
    limit_folder(folder, 64 * 1024);
    fs::create_directory(folder + "/adyton");
    for (const auto& entry : fs::directory_iterator(own)) {
      const std::string name = entry.path().filename().string();
      // What is found again without the network; not what is made of it, nor what somebody is just making.
      if (name.ends_with(".partial")) continue;
      if (name.starts_with("kernel-") || name.starts_with("linux-")) fs::copy(entry.path(), folder + "/adyton/" + name);
    }
    const auto files = [&] { return std::distance(fs::directory_iterator(folder + "/adyton"), fs::directory_iterator()); };
    const auto before = files();
    for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
      // The archive that is to be made has about 1.5 MiB.
      const uint32_t left = random_below(1400);
      SCOPED_TRACE(fmt::format("{} KiB left", left));
      {
        const Filler filler(folder, left);
        const auto client = rig.run({environment});
        EXPECT_EQ(client->finish(), 0) << client->transcript();
        EXPECT_TRUE(client->said("run-failed")) << client->transcript();
        EXPECT_NE(client->transcript().find("No space left"), std::string::npos) << client->transcript();
        EXPECT_EQ(files(), before);
      }
      if (round % 10 == 0) {
        const auto client = rig.run({environment});
        EXPECT_TRUE(client->wait_for("run")) << client->transcript();
        client->order("stop");
        EXPECT_EQ(client->finish(), 0) << client->transcript();
        for (const auto& entry : fs::directory_iterator(folder + "/adyton")) {
          if (entry.path().filename().string().starts_with("initramfs")) fs::remove(entry.path());
        }
      }
      rig.expect_nothing_left();
    }
    rig.report("cache on a full disk");
  });
}

TEST(FullDisk, OfTheConsolesLogAndTheRuntimeFolder) {
  in_private_mounts([] {
    Rig rig;
    limit_folder(rig.service().folder() + "/run", 64);
    limit_folder(rig.service().folder() + "/logs", 64);
    rig.start();
    rig.measure();
    for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
      const Filler runtime(rig.service().folder() + "/run", 0);
      const Filler logs(rig.service().folder() + "/logs", random_below(8));
      const auto client = rig.run({"FAULT_CONSOLE=" + rig.service().folder() + "/logs/console"});
      EXPECT_TRUE(client->wait_for("run")) << client->transcript();
      client->order("stop");
      EXPECT_EQ(client->finish(), 0) << client->transcript();
      EXPECT_TRUE(client->said("stopped shutdown")) << client->transcript();
    }
    rig.expect_nothing_left();
    rig.report("console and runtime folder on full disks");
  });
}

// ---- no descriptors ------------------------------------------------------------------------------------------------------

rlimit limit_of(pid_t pid) {
  rlimit limit{};
  ::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit);
  return limit;
}

size_t descriptors_of(pid_t pid) {
  size_t highest = 0;
  std::error_code error;
  for (fs::directory_iterator entry(fmt::format("/proc/{}/fd", pid), error), end; !error && entry != end; entry.increment(error))
    highest = std::max<size_t>(highest, static_cast<size_t>(std::atoi(entry->path().filename().c_str())) + 1);
  return highest;
}

// Room for `more` descriptors; what is open stays open.
void leave_descriptors(pid_t pid, uint32_t more) {
  rlimit limit = limit_of(pid);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, descriptors_of(pid) + more);
  ::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr);
}

// Whatever happened to the VM, its client was told. A service without descriptors may be unable to take a session.
void expect_told(Client& client) {
  client.order("stop");
  client.finish();
  EXPECT_TRUE(client.said("stopped") || client.said("run-failed") || client.said("connect-failed") ||
              client.said("create-failed"))
      << client.transcript();
  EXPECT_FALSE(client.said("hangs")) << client.transcript();
}

class NoDescriptors : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    rig.measure();
  }
  Rig rig;
};

TEST_F(NoDescriptors, InTheService) {
  int disturbed = 0;
  const rlimit before = limit_of(rig.service().pid());
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw();
    const uint32_t more = random_below(12);
    SCOPED_TRACE(fmt::format("{} more at {}", more, to_string(moment)));
    const auto client = rig.run();
    Rig::reach(*client, moment);
    leave_descriptors(rig.service().pid(), more);
    if (moment.phase < Phase::kRun) client->wait_for("run");
    expect_told(*client);
    disturbed += client->said("run") && client->said("stopped shutdown") ? 0 : 1;
    ASSERT_EQ(::prlimit(rig.service().pid(), RLIMIT_NOFILE, &before, nullptr), 0);
    rig.expect_nothing_left();
  }
  fmt::print("VMs that did not run because of it: {}\n", disturbed);
  rig.report("no descriptors in the service");
}

TEST_F(NoDescriptors, InTheVmm) {
  int disturbed = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw(random_below(2) == 0 ? Phase::kCreate : Phase::kBoot);
    const uint32_t more = random_below(16);
    SCOPED_TRACE(fmt::format("{} more at {}", more, to_string(moment)));
    const auto client = rig.run();
    client->wait_for("boot");
    std::vector<pid_t> vmms;
    service_tests::Service::wait_until([&] { return !(vmms = rig.vmms()).empty(); });
    if (moment.phase == Phase::kBoot) std::this_thread::sleep_for(moment.delay);
    leave_descriptors(vmms.front(), more);
    client->wait_for("run");
    expect_told(*client);
    disturbed += client->said("run") && client->said("stopped shutdown") ? 0 : 1;
    rig.expect_nothing_left();
  }
  fmt::print("VMs that did not run because of it: {}\n", disturbed);
  rig.report("no descriptors in adyton-vmm");
}

TEST_F(NoDescriptors, InTheClient) {
  int disturbed = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const uint32_t limit = 5 + random_below(20);
    SCOPED_TRACE(limit);
    const auto client = rig.run({fmt::format("FAULT_DESCRIPTORS={}", limit)});
    client->wait_for("run");
    expect_told(*client);
    disturbed += client->said("run") ? 0 : 1;
    rig.expect_nothing_left();
  }
  fmt::print("VMs that did not run because of it: {}\n", disturbed);
  rig.report("no descriptors in the client");
}

}  // namespace
}  // namespace adyton::faults
