// packages/modules/Virtualization/tests/testapk/.../MicrodroidTests.java, told with our library. docs/avf-compat.md says which of the
// originals are here, which cannot be, and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>

#include "adyton/adyton.h"
#include "com/example/calculator/ICalculator.h"
#include "com/example/calculator/ICalculatorListener.h"
#include "com/example/notes/INotes.h"
#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::com::example::calculator::ICalculator;
using ::com::example::calculator::ICalculatorListenerStub;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(120);

std::string read_all(const UniqueFd& stream) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(stream.get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(got));
  return text;
}

class Recorder : public VirtualMachineCallback {
 public:
  void onPayloadStarted(VirtualMachine&) override { note("started"); }
  void onPayloadReady(VirtualMachine&) override { note("ready"); }
  void onPayloadFinished(VirtualMachine&, int exit_code) override { note("finished " + std::to_string(exit_code)); }
  void onError(VirtualMachine&, VmErrorCode code, const std::string&) override { note("error " + std::to_string(static_cast<int>(code))); }
  void onStopped(VirtualMachine&, StopReason reason, const std::string&) override { note("stopped " + std::string(to_string(reason))); }

  // True once `event` has come; false when the VM has stopped without it, or nothing came for too long.
  bool wait_for(const std::string& event) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return has(event) || (!events_.empty() && events_.back().starts_with("stopped")); });
    return has(event);
  }
  std::vector<std::string> events() {
    const std::lock_guard guard(mutex_);
    return events_;
  }

 private:
  bool has(const std::string& event) const { return std::ranges::find(events_, event) != events_.end(); }
  void note(std::string event) {
    const std::lock_guard guard(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

class MicrodroidTests : public ::testing::Test {
 protected:
  MicrodroidTests() {
    folder.write("config/adyton/adytond.toml", "idle_exit = 1\n");
    ::mkdir((folder.path() + "/run").c_str(), 0700);
    ::setenv("ADYTON_RUNTIME_DIR", (folder.path() + "/run").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (folder.path() + "/config").c_str(), 1);
    ::setenv("XDG_DATA_HOME", (folder.path() + "/data").c_str(), 1);
  }
  ~MicrodroidTests() override {
    for (const char* name : {"ADYTON_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) ::unsetenv(name);
  }
  void SetUp() override {
    auto connected = VirtualMachineManager::connect();
    ASSERT_TRUE(connected) << connected.error().message;
    manager = *connected;
  }

  static VirtualMachineConfig::Builder builder(const std::string& payload = ADYTON_CALCULATOR_PAYLOAD) {
    VirtualMachineConfig::Builder made;
    made.setPayload(payload).setMemoryBytes(128 << 20).setProtectedVm(false).setDebugLevel(DebugLevel::kFull);
    return made;
  }
  static VirtualMachineConfig config(const std::string& payload = ADYTON_CALCULATOR_PAYLOAD) { return *builder(payload).build(); }

  std::shared_ptr<VirtualMachine> create(const std::string& name, const VirtualMachineConfig& made) {
    auto vm = manager->create(name, made);
    EXPECT_TRUE(vm) << vm.error().message;
    return vm ? *vm : nullptr;
  }
  // Runs it until its payload serves.
  static std::shared_ptr<Recorder> run_until_ready(VirtualMachine& vm) {
    auto events = std::make_shared<Recorder>();
    vm.setCallback(events);
    const auto started = vm.run();
    EXPECT_TRUE(started) << started.error().message;
    EXPECT_TRUE(events->wait_for("ready"));
    return events;
  }
  static std::shared_ptr<ICalculator> service_of(VirtualMachine& vm) {
    auto root = vm.connectToVsockServer(ICalculator::PORT);
    EXPECT_TRUE(root) << root.error().message;
    return root ? ICalculator::from_binder(*root) : nullptr;
  }

  TemporaryFolder folder;
  std::shared_ptr<VirtualMachineManager> manager;
};

TEST_F(MicrodroidTests, createAndConnectToVm) {
  const auto vm = create("test_vm", config());
  const auto events = run_until_ready(*vm);
  const auto service = service_of(*vm);
  ASSERT_TRUE(service);
  EXPECT_EQ(service->add(123, 456), 579);
  ASSERT_TRUE(vm->stop());
  EXPECT_TRUE(events->wait_for("stopped killed") || events->wait_for("stopped shutdown"));
  EXPECT_THAT(events->events(), ::testing::Contains("started"));
}

TEST_F(MicrodroidTests, createAndRunNoDebugVm) {
  const auto vm = create("test_vm", *VirtualMachineConfig::Builder().setPayload(ADYTON_CALCULATOR_PAYLOAD).setProtectedVm(false).build());
  run_until_ready(*vm);
  EXPECT_EQ(service_of(*vm)->add(1, 2), 3);
  EXPECT_EQ(vm->getConsoleOutput().error().code, ErrorCode::kPermission);
  EXPECT_EQ(vm->getLogOutput().error().code, ErrorCode::kPermission);
}

TEST_F(MicrodroidTests, createAndConnectToVm_HostCpuTopology) {
  const auto vm = create("test_vm_match_host", *builder().setCpuTopology(CpuTopology::kMatchHost).build());
  run_until_ready(*vm);
  EXPECT_EQ(vm->getInfo()->cpu_count, static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

TEST_F(MicrodroidTests, autoCloseVm) {
  const auto events = std::make_shared<Recorder>();
  {
    const auto vm = *manager->createTemporary(config(), "test_vm_auto_close");
    vm->setCallback(events);
    ASSERT_TRUE(vm->run());
    EXPECT_EQ(*vm->getStatus(), VmStatus::kRunning);
    vm->close();
    EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  }
  EXPECT_TRUE(manager->listRunning()->empty());
}

TEST_F(MicrodroidTests, vmLifecycleChecks) {
  const auto vm = create("test_vm_unquoted", config());
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  EXPECT_FALSE(vm->stop());
  EXPECT_FALSE(vm->connectVsock(ICalculator::PORT));
  EXPECT_FALSE(vm->connectToVsockServer(ICalculator::PORT));
  run_until_ready(*vm);
  EXPECT_EQ(*vm->getStatus(), VmStatus::kRunning);
  EXPECT_FALSE(vm->run());
  EXPECT_FALSE(manager->deleteVm("test_vm_unquoted"));
  EXPECT_FALSE(vm->setConfig(config()));
  ASSERT_TRUE(vm->stop());
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  ASSERT_TRUE(manager->deleteVm("test_vm_unquoted"));
  EXPECT_EQ(*vm->getStatus(), VmStatus::kDeleted);
  EXPECT_FALSE(vm->run());
}

TEST_F(MicrodroidTests, connectVsock) {
  const auto vm = create("test_vm_vsock", config());
  run_until_ready(*vm);
  for (const uint32_t port : {0u, 80u, 1023u}) EXPECT_EQ(vm->connectVsock(port).error().code, ErrorCode::kInvalidArgument) << port;
  EXPECT_TRUE(vm->connectVsock(ICalculator::PORT));
}

TEST_F(MicrodroidTests, binderCallbacksWork) {
  class Listener : public ICalculatorListenerStub {
   public:
    rpc::Reply<> onResult(const std::string& operation, int64_t result) override {
      told.push_back(operation + " " + std::to_string(result));
      return {};
    }
    std::vector<std::string> told;
  };
  const auto vm = create("test_vm", config());
  run_until_ready(*vm);
  const auto service = service_of(*vm);
  const auto listener = std::make_shared<Listener>();
  ASSERT_TRUE(service->setListener(listener));
  EXPECT_EQ(service->multiply(6, 7), 42);
  EXPECT_THAT(listener->told, ElementsAre("multiply 42"));
}

TEST_F(MicrodroidTests, vmConfigGetAndSetTests) {
  const auto made = *builder().setCpuCount(2).setVmOutputCaptured(true).setArguments({"one"}).build();
  EXPECT_EQ(made.getMemoryBytes(), 128u << 20);
  EXPECT_EQ(made.getCpuCount(), 2u);
  EXPECT_EQ(made.getDebugLevel(), DebugLevel::kFull);
  EXPECT_FALSE(made.isProtectedVm());
  EXPECT_TRUE(made.isVmOutputCaptured());
  EXPECT_THAT(made.getArguments(), ElementsAre("one"));
  EXPECT_EQ(*made.getPayload(), ADYTON_CALCULATOR_PAYLOAD);
}

TEST_F(MicrodroidTests, vmConfigBuilderValidationTests) {
  EXPECT_FALSE(VirtualMachineConfig::Builder().build());
  EXPECT_FALSE(VirtualMachineConfig::Builder().setProtectedVm(false).build());
  EXPECT_FALSE(VirtualMachineConfig::Builder().setPayload("payload").build());
  EXPECT_FALSE(builder().setMemoryBytes(0).build());
  EXPECT_FALSE(VirtualMachineConfig::Builder().setPayload("payload").setProtectedVm(false).setVmOutputCaptured(true).build());
}

TEST_F(MicrodroidTests, compatibleConfigTests) {
  const auto base = config();
  EXPECT_TRUE(base.isCompatibleWith(base));
  EXPECT_TRUE(base.isCompatibleWith(*builder().setMemoryBytes(256 << 20).build()));
  EXPECT_TRUE(base.isCompatibleWith(*builder().setCpuCount(4).build()));
  EXPECT_FALSE(base.isCompatibleWith(*builder().setDebugLevel(DebugLevel::kNone).build()));
  EXPECT_FALSE(base.isCompatibleWith(*builder().setVmOutputCaptured(true).build()));
  EXPECT_FALSE(base.isCompatibleWith(config(probe())));
}

TEST_F(MicrodroidTests, vmmGetAndCreate) {
  const std::string name = "vmmGetAndCreate";
  EXPECT_EQ(*manager->get(name), nullptr);
  const auto made = create(name, config());
  EXPECT_EQ(*manager->get(name), made);
  EXPECT_EQ(*manager->getOrCreate(name, config()), made);
  EXPECT_FALSE(manager->create(name, config()));
  ASSERT_TRUE(manager->deleteVm(name));
  EXPECT_EQ(*manager->get(name), nullptr);
  EXPECT_TRUE(manager->getOrCreate(name, config()));
}

TEST_F(MicrodroidTests, sameInstancesShareTheSameVmObject) {
  const auto one = create("test_vm", config());
  const auto two = *manager->get("test_vm");
  EXPECT_EQ(one, two);
  ASSERT_TRUE(manager->deleteVm("test_vm"));
  const auto three = create("test_vm", config());
  EXPECT_NE(one, three);
  EXPECT_EQ(*one->getStatus(), VmStatus::kDeleted);
  EXPECT_EQ(*three->getStatus(), VmStatus::kStopped);
}

TEST_F(MicrodroidTests, deleteVm) {
  const auto vm = create("test_vm_delete", config());
  ASSERT_TRUE(manager->deleteVm("test_vm_delete"));
  EXPECT_EQ(*vm->getStatus(), VmStatus::kDeleted);
  EXPECT_EQ(manager->deleteVm("test_vm_delete").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(vm->run());
}

TEST_F(MicrodroidTests, invalidVmNameIsRejected) {
  for (const std::string name : {"", ".", "..", "a/b", "a:b", "../x", "a\nb", "\xff"}) {
    EXPECT_EQ(manager->create(name, config()).error().code, ErrorCode::kInvalidArgument) << name;
    EXPECT_EQ(manager->getOrCreate(name, config()).error().code, ErrorCode::kInvalidArgument) << name;
  }
}

TEST_F(MicrodroidTests, importedVmIsEqualToTheOriginalVm_WithoutStorage) {
  const auto original = create("test_vm_orig", config());
  auto descriptor = original->toDescriptor();
  ASSERT_TRUE(descriptor) << descriptor.error().message;
  const auto imported = manager->importFromDescriptor("test_vm_import", std::move(*descriptor));
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_TRUE((*imported)->getConfig()->isCompatibleWith(*original->getConfig()));
  run_until_ready(**imported);
  EXPECT_EQ(service_of(**imported)->add(2, 2), 4);
}

TEST_F(MicrodroidTests, concurrentVms) {
  std::vector<std::shared_ptr<VirtualMachine>> vms;
  for (int i = 0; i < 3; ++i) vms.push_back(create("test_vm" + std::to_string(i), config()));
  for (const auto& vm : vms) run_until_ready(*vm);
  for (size_t i = 0; i < vms.size(); ++i) EXPECT_EQ(service_of(*vms[i])->add(static_cast<int64_t>(i), 1), static_cast<int64_t>(i) + 1);
}

TEST_F(MicrodroidTests, bootFailsWhenLowMem) {
  for (const uint64_t bytes : {10u, 20u, 40u, 2u << 20}) {
    const auto refused = builder().setMemoryBytes(bytes).build();
    ASSERT_FALSE(refused) << bytes;
    EXPECT_THAT(refused.error().message, HasSubstr("memory"));
  }
}

TEST_F(MicrodroidTests, bootFailsWhenPayloadIsMissing) {
  const auto vm = create("missing", config("/nonexistent/payload"));
  EXPECT_FALSE(vm->run());
  EXPECT_EQ(vm->getPayloadExitCode(), 127);
}

// MicrodroidTestNativeLib.so, so to say.
TEST_F(MicrodroidTests, payloadIsASharedLibrary) {
  const auto vm = create("test_vm", *builder(ADYTON_AVF_PAYLOADS "/test.so").setVmOutputCaptured(true).build());
  const auto events = run_until_ready(*vm);
  const auto log = vm->getLogOutput();
  ASSERT_TRUE(log);
  EXPECT_TRUE(events->wait_for("stopped shutdown"));
  EXPECT_THAT(events->events(), ElementsAre("started", "ready", "finished 42", "stopped shutdown"));
  EXPECT_EQ(read_all(*log), "contents in /payload\n");
}

// A payload that knows the NDK alone, in the C++ that most of them are in, and a client with the other back end.
TEST_F(MicrodroidTests, payloadIsWrittenForAndroid) {
  using com::example::notes::INotes;
  using Query = INotes::Query;
  const auto vm = create("test_vm_ndk", *builder(ADYTON_AVF_PAYLOADS "/ndk17.so").setVmOutputCaptured(true).build());
  const auto events = run_until_ready(*vm);
  const auto log = vm->getLogOutput();
  ASSERT_TRUE(log);
  const auto root = vm->connectToVsockServer(INotes::PORT);
  ASSERT_TRUE(root) << root.error().message;
  const auto notes = INotes::from_binder(*root);

  class Listener : public INotes::IListenerStub {
   public:
    rpc::Reply<> onNote(const INotes::Note& note) override {
      heard.set_value(note.text);
      return {};
    }
    std::promise<std::string> heard;
  };
  const auto listener = std::make_shared<Listener>();
  ASSERT_TRUE(notes->listen(listener));
  INotes::Note milk;
  milk.text = "milk";
  milk.importance = INotes::Importance::HIGH;
  milk.attachment = {{1, 2, 3}};
  EXPECT_EQ(notes->add(milk).value_or(-1), 0);
  auto heard = listener->heard.get_future();
  ASSERT_EQ(heard.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(heard.get(), "milk");
  EXPECT_EQ(notes->find(Query::make<Query::Tag::number>(0)).value(), milk);
  EXPECT_EQ(notes->find(Query::make<Query::Tag::word>("il")).value(), milk);
  EXPECT_EQ(notes->find(Query::make<Query::Tag::like>(std::vector{milk})).value(), milk);
  EXPECT_EQ(notes->find(Query::make<Query::Tag::number>(1)).value(), std::nullopt);
  EXPECT_EQ(notes->find(Query::make<Query::Tag::number>(-7)).error().service_specific_code(), -7);
  EXPECT_EQ(notes->attest(std::vector<uint8_t>(64)).value(), "nobody can vouch for this virtual machine");
  EXPECT_EQ(notes->attest(std::vector<uint8_t>(65)).value(), "the challenge is longer than 64 bytes");
  EXPECT_TRUE(notes->quit());
  EXPECT_TRUE(events->wait_for("stopped shutdown"));
  EXPECT_EQ(
      read_all(*log),
      "I notes: C++ of 201703\nI notes: note 0: Note{text: milk, importance: HIGH, attachment: [1, 2, 3]}\nW notes: the end\n");
}

// Refused before the boot.
TEST_F(MicrodroidTests, bootFailsWhenBinaryIsMissingEntryFunction) {
  const auto vm = create("test_vm_missing_entry", config(ADYTON_AVF_PAYLOADS "/empty.so"));
  EXPECT_THAT(vm->run().error().message, HasSubstr("Failed to find entrypoint AVmPayload_main"));
  EXPECT_EQ(vm->getPayloadExitCode(), 126);
}

TEST_F(MicrodroidTests, bootFailsWhenBinaryTriesToLinkAgainstPrivateLibs) {
  const auto named = create("test_vm_private_linking", config(ADYTON_AVF_PAYLOADS "/private.so"));
  EXPECT_THAT(named->run().error().message, HasSubstr("needs the library libprivate.so.1"));
  EXPECT_EQ(named->getPayloadExitCode(), 126);
  // What only the guest's linker finds out.
  const auto vm = create("test_vm_undefined", *builder(ADYTON_AVF_PAYLOADS "/undefined.so").setVmOutputCaptured(true).build());
  const auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  const auto started = vm->run();
  ASSERT_TRUE(started) << started.error().message;
  const auto stopped = vm->waitForStop(kPatience);
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->reason, StopReason::kMicrodroidInvalidPayloadConfig);
  EXPECT_THAT(stopped->message, AllOf(HasSubstr("Failed to dlopen /payload/undefined.so"), HasSubstr("adyton_private_function")));
  EXPECT_EQ(vm->getPayloadExitCode(), 126);
  EXPECT_TRUE(events->wait_for("error 3"));
}

TEST_F(MicrodroidTests, deleteVmFiles) {
  const auto vm = create("test_vm_delete", config(e2e::probe()));
  ASSERT_TRUE(vm->run());
  ASSERT_TRUE(vm->waitForStop(kPatience));
  // Behind the service's back: nobody can keep a user from that.
  std::filesystem::remove_all(folder.path() + "/data/adyton/vm/test_vm_delete");
  EXPECT_EQ(*vm->getStatus(), VmStatus::kDeleted);
  EXPECT_EQ(*manager->get("test_vm_delete"), nullptr);
  EXPECT_FALSE(vm->run());
  const auto again = create("test_vm_delete", config());
  EXPECT_EQ(*again->getStatus(), VmStatus::kStopped);
}

// MicrodroidHostTests. There is no statsd: what its atoms VmCreationRequested, VmBooted and VmExited tell is asked of the library.
TEST_F(MicrodroidTests, testTelemetryPushedAtoms) {
  const auto vm = *manager->createTemporary(*builder(e2e::probe()).setArguments({"exit", "3"}).build(), "test_vm_telemetry");
  const auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  ASSERT_TRUE(vm->run());
  const auto created = vm->getInfo();
  ASSERT_TRUE(created);
  EXPECT_EQ(created->name, "test_vm_telemetry");
  EXPECT_EQ(created->requester_uid, static_cast<int32_t>(::getuid()));
  EXPECT_EQ(created->requester_pid, ::getpid());
  EXPECT_EQ(created->cpu_count, 1u);
  EXPECT_EQ(created->memory_bytes, 128u << 20);
  EXPECT_TRUE(events->wait_for("stopped shutdown"));
  EXPECT_THAT(events->events(), ElementsAre("started", "finished 3", "stopped shutdown"));
  const auto exited = vm->getInfo();
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->stop_reason, StopReason::kShutdown);
  EXPECT_EQ(exited->payload_exit_code, 3);
  EXPECT_GT(exited->uptime.count(), 0);
  EXPECT_GT(exited->cpu_time.count(), 0);
  EXPECT_GT(exited->peak_resident_bytes, 0u);
}

// MicrodroidHostTests: there it is a measurement, which bench/vs-qemu is here. What is left to test: a guest with nothing in it
// leaves the payload most of its memory.
TEST_F(MicrodroidTests, testMicrodroidRamUsage) {
  const auto vm = *manager->createTemporary(
      *builder(e2e::probe()).setArguments({"file", "/proc/meminfo"}).setVmOutputCaptured(true).build());
  ASSERT_TRUE(vm->run());
  const auto log = vm->getLogOutput();
  ASSERT_TRUE(log && vm->waitForStop(kPatience));
  const std::string text = read_all(*log);
  const auto kib = [&](const char* field) {
    const size_t at = text.find(field);
    return at == std::string::npos ? 0L : std::stol(text.substr(at + std::string_view(field).size()));
  };
  EXPECT_GT(kib("MemTotal:"), 64 << 10) << text;
  EXPECT_GT(kib("MemAvailable:"), kib("MemTotal:") / 2) << text;
}

TEST_F(MicrodroidTests, bootFailsWhenPayloadIsForAnotherArchitecture) {
  const auto vm = create("foreign", config("/proc/self/exe"));
  EXPECT_FALSE(vm->run());
  EXPECT_EQ(vm->getPayloadExitCode(), 126);
}

TEST_F(MicrodroidTests, protectedVmIsRefusedWhereThereIsNone) {
  const auto vm = manager->create("protected", *builder().setProtectedVm(true).build());
  ASSERT_TRUE(vm);
  const auto started = (*vm)->run();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kUnsupported) << started.error().message;
}

}  // namespace
}  // namespace adyton::e2e
