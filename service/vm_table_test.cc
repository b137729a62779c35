#include "service/vm_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/testing/recorder.h"
#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

using ::testing::HasSubstr;

class VmTableTest : public ::testing::Test {
 protected:
  VmTableTest() {
    loop->call([&] { table = std::make_unique<VmTable>(*loop, ADYTON_FAKE_VMM, root.path("cid"), budget, records); });
  }
  ~VmTableTest() override {
    kill_all();
    loop->call([&] { table.reset(); });
  }
  static VmSpec spec(const std::string& name) {
    VmSpec made;
    made.name = name;
    made.machine.memory = 1 << 20;
    made.machine.kernel = 0;
    made.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return made;
  }
  Outcome<std::shared_ptr<Vm>> create(VmSpec made) {
    return loop->call([&] { return table->create(std::move(made)); });
  }
  void kill_all() {
    loop->await<bool>([&](auto done) { table->kill_all([done] { done(true); }); });
  }
  void kill(const std::shared_ptr<Vm>& vm) {
    loop->await<bool>([&](auto done) { vm->kill({DeathReason::kKilled, "killed by the test"}, [done](const Outcome<>&) { done(true); }); });
  }

  TemporaryDirectory root;
  std::unique_ptr<EventLoop> loop = *EventLoop::start();
  std::shared_ptr<Budget> budget = Budget::make({.vms = 3, .memory = 16 << 20});
  std::shared_ptr<RecordStore> records = *RecordStore::open(root.path("data"));
  std::unique_ptr<VmTable> table;
};

TEST_F(VmTableTest, NamesAndNumbersAreUnique) {
  auto one = *create(spec("one"));
  auto other = *create(spec(""));
  EXPECT_NE(one->cid(), other->cid());
  EXPECT_EQ(other->name(), "vm-" + std::to_string(other->cid()));
  EXPECT_EQ(create(spec("one")).error().problem, Problem::kExists);
  EXPECT_EQ(loop->call([&] { return table->find("one"); }), one);
  EXPECT_EQ(loop->call([&] { return table->find("two"); }), nullptr);
  EXPECT_EQ(loop->call([&] { return table->list(); }).size(), 2u);
  kill(one);
  EXPECT_EQ(loop->call([&] { return table->find("one"); }), nullptr);
  EXPECT_TRUE(create(spec("one")));
  loop->call([&] {
    one.reset();
    other.reset();
  });
}

TEST_F(VmTableTest, LimitsHold) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(create(spec("")));
  EXPECT_EQ(create(spec("")).error().error.code, ErrorCode::kExhausted);
  EXPECT_EQ(budget->usage().vms, 3u);
  kill_all();
  EXPECT_EQ(budget->usage().vms, 0u);
  EXPECT_EQ(create(spec("")).error().error.code, ErrorCode::kUnavailable);  // the service is ending
}

TEST_F(VmTableTest, SpecificationsAreChecked) {
  const auto refused = [&](const char* why, const std::function<void(VmSpec&)>& change) {
    VmSpec made = spec("vm");
    change(made);
    const auto outcome = create(std::move(made));
    ASSERT_FALSE(outcome) << why;
    EXPECT_EQ(outcome.error().error.code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(outcome.error().error.message, HasSubstr(why));
  };
  refused("'/'", [](VmSpec& s) { s.name = "a/b"; });
  refused("either a kernel", [](VmSpec& s) { s.machine.kernel.reset(); });
  refused("either a kernel", [](VmSpec& s) { s.machine.firmware = 0; });
  refused("CPUs", [](VmSpec& s) { s.machine.cpus = 0; });
  refused("CPUs", [](VmSpec& s) { s.machine.cpus = 124; });
  refused("64 KiB", [](VmSpec& s) { s.machine.memory = 100; });
  refused("64 KiB", [](VmSpec& s) { s.machine.memory = 0; });
  refused("command line", [](VmSpec& s) { s.machine.command_line = std::string(3000, 'x'); });
  refused("watchdog", [](VmSpec& s) { s.machine.watchdog_seconds = 24 * 3600 + 1; });
  refused("disks", [](VmSpec& s) { s.machine.disks.resize(17); });
  refused("serial", [](VmSpec& s) { s.machine.disks.push_back({.fd = 0, .serial = std::string(21, 'x')}); });
  refused("record", [](VmSpec& s) {
    s.name.clear();
    s.persistent = true;
  });
  EXPECT_EQ(budget->usage().vms, 0u);
}

TEST_F(VmTableTest, APersistentVmUsesItsRecord) {
  VmSpec made = spec("kept");
  made.persistent = true;
  EXPECT_EQ(create(std::move(made)).error().error.code, ErrorCode::kNotFound);
  EXPECT_EQ(budget->usage().vms, 0u);
  ASSERT_TRUE(records->create("kept", {}));
  made = spec("kept");
  made.persistent = true;
  auto vm = *create(std::move(made));
  EXPECT_EQ(records->remove("kept").error().problem, Problem::kInUse);
  kill(vm);
  EXPECT_TRUE(records->remove("kept"));
  loop->call([&] { vm.reset(); });
}

TEST_F(VmTableTest, APersistentVmsRecordTellsHowItEnded) {
  ASSERT_TRUE(records->create("kept", {}));
  const auto make = [&] {
    VmSpec made = spec("kept");
    made.persistent = true;
    return *create(std::move(made));
  };
  auto vm = make();
  ASSERT_TRUE(loop->await<Outcome<>>([&](auto done) { vm->start(done); }));
  EXPECT_FALSE(records->last_run("kept")->has_value());
  kill(vm);
  const auto expect_killed = [&] {
    const auto last = records->last_run("kept");
    ASSERT_TRUE(last && *last);
    EXPECT_EQ((*last)->first, (LastRun{.reason = static_cast<int32_t>(DeathReason::kKilled), .message = "killed by the test"}));
  };
  expect_killed();
  loop->call([&] { vm = nullptr; });
  vm = make();
  kill(vm);
  expect_killed();  // it has not been started since
  loop->call([&] { vm = nullptr; });
  vm = make();
  ASSERT_TRUE(loop->await<Outcome<>>([&](auto done) { vm->start(done); }));
  EXPECT_FALSE(records->last_run("kept")->has_value());
  loop->call([&] { vm.reset(); });
}

TEST_F(VmTableTest, TellsWhenTheLastVmIsGone) {
  int empty = 0;
  loop->call([&] { table->on_empty([&] { ++empty; }); });
  auto one = *create(spec(""));
  auto two = *create(spec(""));
  kill(one);
  EXPECT_EQ(loop->call([&] { return empty; }), 0);
  kill(two);
  EXPECT_EQ(loop->call([&] { return empty; }), 1);
  loop->call([&] {
    one.reset();
    two.reset();
  });
}

}  // namespace
}  // namespace adyton::service
