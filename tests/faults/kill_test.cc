// kill -9 of the client, the service, adyton-vmm, and the guest's payload, at any moment.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "tests/faults/rig.h"

namespace adyton::faults {
namespace {

class KillTest : public ::testing::Test {
 protected:
  Rig rig;
};

TEST_F(KillTest, OfTheClient) {
  rig.start();
  rig.measure();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw();
    SCOPED_TRACE(to_string(moment));
    const auto victim = rig.run();
    Rig::reach(*victim, moment);
    victim->kill();
    victim->finish();
    service_tests::Service::wait_until([&] { return rig.vmms().empty(); });
    rig.expect_nothing_left();
  }
  rig.report("kill -9 of the client");
}

TEST_F(KillTest, OfTheService) {
  rig.start();
  rig.measure();
  int heard = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw();
    SCOPED_TRACE(to_string(moment));
    const auto client = rig.run();
    Rig::reach(*client, moment);
    EXPECT_EQ(rig.service().stop(SIGKILL), -SIGKILL);
    client->finish();
    // It hears of it in some way: by an event, or by the error of the call that it is in.
    const bool told = client->said("stopped service died");
    heard += told ? 1 : 0;
    EXPECT_TRUE(told || client->said("stopped shutdown") || client->said("connect-failed") || client->said("create-failed") ||
                client->said("run-failed"))
        << client->transcript();
    EXPECT_FALSE(client->said("hangs")) << client->transcript();
    service_tests::Service::wait_until([&] { return rig.service().processes().empty(); });
    rig.start();
    rig.expect_nothing_left();
  }
  fmt::print("clients told that the service died: {}\n", heard);
  rig.report("kill -9 of the service");
}

TEST_F(KillTest, OfTheVmm) {
  rig.start();
  rig.measure();
  int killed = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    Moment moment = rig.draw();
    const auto client = rig.run();
    std::vector<pid_t> vmms;
    if (moment.phase == Phase::kCreate) {
      // It is there from the middle of run() on.
      client->wait_for("boot");
      service_tests::Service::wait_until([&] { return !(vmms = rig.vmms()).empty(); });
      moment.delay = std::chrono::microseconds(random_below(20'000));
      std::this_thread::sleep_for(moment.delay);
    } else {
      Rig::reach(*client, moment);
    }
    SCOPED_TRACE(to_string(moment));
    vmms = rig.vmms();
    for (const pid_t vmm : vmms) ::kill(vmm, SIGKILL);
    if (vmms.empty()) client->order("stop");  // the moment came before it, or after it
    EXPECT_EQ(client->finish(), 0) << client->transcript();
    if (!vmms.empty() && moment.phase != Phase::kStop) {
      ++killed;
      const bool at_start = client->said("run-failed") && client->transcript().find("signal 9") != std::string::npos;
      EXPECT_TRUE(at_start || client->said("stopped killed")) << client->transcript();
    }
    EXPECT_TRUE(client->said("deleted")) << client->transcript();
    EXPECT_FALSE(client->said("hangs")) << client->transcript();
    rig.expect_nothing_left();
  }
  fmt::print("VMMs that were there and had not been asked to stop: {}\n", killed);
  rig.report("kill -9 of adyton-vmm");
}

TEST_F(KillTest, OfThePayload) {
  rig.start();
  rig.measure();
  int killed = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw();
    SCOPED_TRACE(to_string(moment));
    const auto client = rig.run();
    Rig::reach(*client, moment);
    client->order("kill-payload");
    if (!client->wait_for("signal")) {
      EXPECT_TRUE(client->said("end")) << client->transcript();  // it was over
    } else if (client->said("signal-failed")) {
      client->order("stop");
    }
    EXPECT_EQ(client->finish(), 0) << client->transcript();
    if (client->said("signalled")) {
      ++killed;
      if (moment.phase != Phase::kStop) { EXPECT_TRUE(client->said("finished 137")) << client->transcript(); }
    }
    EXPECT_TRUE(client->said("stopped shutdown") || client->said("stopped killed")) << client->transcript();
    EXPECT_TRUE(client->said("deleted")) << client->transcript();
    rig.expect_nothing_left();
  }
  fmt::print("payloads that were killed: {}\n", killed);
  rig.report("kill -9 of the payload");
}

}  // namespace
}  // namespace adyton::faults
