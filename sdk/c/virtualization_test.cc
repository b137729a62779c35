// The C interface, against a service that does what the test says.
#include "adyton/virtualization.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "adyton/adyton.h"
#include "sdk/testing/fake_service.h"

// sdk/c/descriptor_test.c
extern "C" {
int send_vm(const AVirtualizationService* service, const char* name, int socket);
int receive_vm(const AVirtualizationService* service, const char* name, int socket, AVirtualMachine** vm);
}

namespace adyton::sdk {
namespace {

using testing::ServedFake;
using virtualizationcommon::DeathReason;

int file_of(const std::string& text) {
  const int fd = ::memfd_create("file", MFD_CLOEXEC);
  if (::write(fd, text.data(), text.size()) < 0) std::abort();
  return fd;
}
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

class CInterfaceTest : public ::testing::Test {
 protected:
  CInterfaceTest() {
    ::setenv("ADYTON_RUNTIME_DIR", fake.directory().c_str(), 1);
    EXPECT_EQ(AVirtualizationService_create(&service, false), 0);
  }
  ~CInterfaceTest() override {
    AVirtualizationService_destroy(service);
    ::unsetenv("ADYTON_RUNTIME_DIR");
  }

  ServedFake fake;
  AVirtualizationService* service = nullptr;
};

TEST_F(CInterfaceTest, ACustomVmLivesAndMayLiveAgain) {
  AVirtualMachineRawConfig* config = AVirtualMachineRawConfig_create();
  EXPECT_EQ(AVirtualMachineRawConfig_setName(config, "c-vm"), 0);
  const uint8_t id[64] = {1, 2, 3};
  EXPECT_EQ(AVirtualMachineRawConfig_setInstanceId(config, id, sizeof(id)), 0);
  AVirtualMachineRawConfig_setKernel(config, file_of("first"));
  AVirtualMachineRawConfig_setKernel(config, file_of("second"));
  AVirtualMachineRawConfig_setInitRd(config, file_of("initrd"));
  AVirtualMachineRawConfig_addDisk(config, file_of("disk"), true);
  AVirtualMachineRawConfig_addDisk(config, file_of("disk"), false);
  AVirtualMachineRawConfig_setMemoryMiB(config, 64);
  AVirtualMachineRawConfig_setSwiotlbMiB(config, 8);
  AVirtualMachineRawConfig_setVCpuCount(config, 2);
  AVirtualMachineRawConfig_setProtectedVm(config, false);
  int log[2];
  ASSERT_EQ(::pipe2(log, O_CLOEXEC), 0);
  AVirtualMachine* vm = nullptr;
  ASSERT_EQ(AVirtualMachine_createRaw(service, config, -1, -1, log[1], &vm), 0);
  EXPECT_EQ(AVirtualMachine_connectVsock(vm, 2000), -EIO);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(AVirtualMachine_start(vm), 0) << AdytonVirtualMachine_getError(vm);
    EXPECT_EQ(AVirtualMachine_start(vm), -EIO) << "it runs";
    auto theirs = fake.service().last_vm();
    EXPECT_TRUE(theirs->has_kernel);
    EXPECT_EQ(theirs->memory, int64_t{64} << 20);
    EXPECT_EQ(theirs->cpus, 2);
    EXPECT_EQ(theirs->instance_id[2], 3);
    EXPECT_EQ(theirs->disks, (std::vector<std::string>{"disk0,rw", "disk1,ro"}));
    char buffer[4];
    EXPECT_EQ(::read(log[0], buffer, sizeof(buffer)), 4);
    const int stream = AVirtualMachine_connectVsock(vm, 2000);
    ASSERT_GE(stream, 0);
    ::close(stream);
    const timespec soon = {.tv_sec = 0, .tv_nsec = 1'000'000};
    AVirtualMachineStopReason reason = AVIRTUAL_MACHINE_UNKNOWN;
    EXPECT_FALSE(AVirtualMachine_waitForStop(vm, &soon, &reason));
    if (i == 0) {
      theirs->die(DeathReason::REBOOT, "it reset itself");
    } else {
      EXPECT_EQ(AVirtualMachine_stop(vm), 0);
    }
    EXPECT_TRUE(AVirtualMachine_waitForStop(vm, nullptr, &reason));
    EXPECT_EQ(reason, i == 0 ? AVIRTUAL_MACHINE_REBOOT : AVIRTUAL_MACHINE_KILLED);
  }
  EXPECT_EQ(AVirtualMachine_stop(vm), -EIO);
  EXPECT_STRNE(AdytonVirtualMachine_getError(vm), "");
  AVirtualMachine_destroy(vm);
  EXPECT_FALSE(is_open(log[1]));
  ::close(log[0]);
}

TEST_F(CInterfaceTest, DescriptorsAreTakenAlsoOnFailure) {
  AVirtualMachineRawConfig* config = AVirtualMachineRawConfig_create();
  const int initrd = file_of("initrd");
  AVirtualMachineRawConfig_setInitRd(config, initrd);
  const int console = file_of("");
  AVirtualMachine* vm = nullptr;
  EXPECT_EQ(AVirtualMachine_createRaw(service, config, console, -1, -1, &vm), -EIO);
  EXPECT_EQ(vm, nullptr);
  EXPECT_FALSE(is_open(initrd));
  EXPECT_FALSE(is_open(console));
  const int memory = file_of("x");
  config = AVirtualMachineRawConfig_create();
  EXPECT_EQ(AVirtualMachineRawConfig_addCustomMemoryBackingFile(config, memory, 0, 1), -ENOTSUP);
  EXPECT_FALSE(is_open(memory));
  EXPECT_EQ(AVirtualMachineRawConfig_setHypervisorSpecificAuthMethod(config, true), -ENOTSUP);
  AVirtualMachineRawConfig_destroy(config);
  AVirtualMachineRawConfig_destroy(nullptr);
  AVirtualMachine_destroy(nullptr);
  AVirtualizationService_destroy(nullptr);
}

TEST_F(CInterfaceTest, NamesAndIdentitiesAreChecked) {
  AVirtualMachineRawConfig* config = AVirtualMachineRawConfig_create();
  EXPECT_EQ(AVirtualMachineRawConfig_setName(config, "gr\xc3\xbc\xc3\x9f"), 0);
  for (const char* name : {"", "a/b", ".", "..", "\xff", "a\nb"}) {
    EXPECT_EQ(AVirtualMachineRawConfig_setName(config, name), -EINVAL) << name;
  }
  EXPECT_EQ(AVirtualMachineRawConfig_setName(config, std::string(256, 'x').c_str()), -EINVAL);
  const uint8_t id[63] = {};
  EXPECT_EQ(AVirtualMachineRawConfig_setInstanceId(config, id, sizeof(id)), -EINVAL);
  AVirtualMachineRawConfig_destroy(config);
}

TEST_F(CInterfaceTest, TheServicesEndIsAReason) {
  AVirtualMachineRawConfig* config = AVirtualMachineRawConfig_create();
  AVirtualMachineRawConfig_setKernel(config, file_of("kernel"));
  AVirtualMachine* vm = nullptr;
  ASSERT_EQ(AVirtualMachine_createRaw(service, config, -1, -1, -1, &vm), 0);
  ASSERT_EQ(AVirtualMachine_start(vm), 0);
  fake.shut_down();
  AVirtualMachineStopReason reason = AVIRTUAL_MACHINE_UNKNOWN;
  EXPECT_TRUE(AVirtualMachine_waitForStop(vm, nullptr, &reason));
  EXPECT_EQ(reason, AVIRTUAL_MACHINE_VIRTUALIZATION_SERVICE_DIED);
  AVirtualMachine_destroy(vm);
}

TEST_F(CInterfaceTest, APayloadThatIsRefusedIsExplained) {
  char error[64];
  AVirtualMachine* vm = nullptr;
  AdytonAppConfig* config = AdytonAppConfig_create();
  AdytonAppConfig_setPayload(config, "/nonexistent/app");
  EXPECT_EQ(AdytonVirtualMachine_createApp(service, config, -1, -1, -1, &vm, error, sizeof(error)), -EINVAL);
  EXPECT_NE(std::string(error).find("setIsolation()"), std::string::npos) << error;
  config = AdytonAppConfig_create();
  AdytonAppConfig_setPayload(config, "/nonexistent/app");
  AdytonAppConfig_addArgument(config, "x");
  AdytonAppConfig_addEnvironment(config, "A", "b");
  AdytonAppConfig_setMemoryBytes(config, 256 << 20);
  AdytonAppConfig_setVCpuCount(config, 1);
  AdytonAppConfig_setKernelSuite(config, "trixie");
  AdytonAppConfig_setIsolation(config, ADYTON_ISOLATION_NONE);
  ASSERT_EQ(AdytonVirtualMachine_createApp(service, config, -1, -1, -1, &vm, nullptr, 0), 0);
  EXPECT_EQ(AVirtualMachine_start(vm), -EIO);
  EXPECT_NE(std::string(AdytonVirtualMachine_getError(vm)).find("/nonexistent/app"), std::string::npos);
  EXPECT_EQ(AdytonVirtualMachine_getPayloadExitCode(vm), 127);
  AVirtualMachine_destroy(vm);
}

TEST_F(CInterfaceTest, ASuiteThatCannotBeOneIsRefused) {
  char error[128];
  AVirtualMachine* vm = nullptr;
  AdytonAppConfig* config = AdytonAppConfig_create();
  AdytonAppConfig_setPayload(config, "/nonexistent/app");
  AdytonAppConfig_setKernelSuite(config, "../sid");
  AdytonAppConfig_setIsolation(config, ADYTON_ISOLATION_NONE);
  EXPECT_EQ(AdytonVirtualMachine_createApp(service, config, -1, -1, -1, &vm, error, sizeof(error)), -EINVAL);
  EXPECT_NE(std::string(error).find("'../sid' is not the name of a Debian suite"), std::string::npos) << error;
}

TEST_F(CInterfaceTest, AMissingLevelIsExplained) {
  fake.service().capabilities.isolation.resize(1);
  fake.service().capabilities.isolation[0].available = true;
  char reason[8] = "xxxxxxx";
  EXPECT_TRUE(AdytonVirtualizationService_isIsolationAvailable(service, ADYTON_ISOLATION_NONE, reason, sizeof(reason)));
  EXPECT_STREQ(reason, "");
  EXPECT_FALSE(AdytonVirtualizationService_isIsolationAvailable(service, ADYTON_ISOLATION_HYPERVISOR, reason, sizeof(reason)));
  EXPECT_EQ(std::string(reason).size(), 7u);
}

TEST_F(CInterfaceTest, AVmIsHandedToAnotherProgram) {
  const auto manager = VirtualMachineManager::connect();
  ASSERT_TRUE(manager);
  const auto config = VirtualMachineConfig::Builder()
                          .setPayload("/bin/app")
                          .setMemoryBytes(256 << 20)
                          .setIsolation(IsolationLevel::kNone)
                          .build();
  ASSERT_TRUE(config && (*manager)->create("original", *config));
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(send_vm(service, "original", ends[0]), 0);
  AVirtualMachine* vm = nullptr;
  ASSERT_EQ(receive_vm(service, "imported", ends[1], &vm), 0);
  AVirtualMachine_destroy(vm);
  EXPECT_TRUE(*(*manager)->get("imported"));
  // Not twice under one name.
  ASSERT_EQ(send_vm(service, "original", ends[0]), 0);
  EXPECT_EQ(receive_vm(service, "imported", ends[1], &vm), -EIO);
  EXPECT_EQ(send_vm(service, "absent", ends[0]), -ENOENT);
  ASSERT_EQ(::write(ends[0], "nonsense", 8), 8);
  EXPECT_EQ(receive_vm(service, "none", ends[1], &vm), -EBADMSG);
  ::close(ends[0]);
  EXPECT_EQ(receive_vm(service, "none", ends[1], &vm), -EPIPE);
  ::close(ends[1]);
  AdytonVirtualMachineDescriptor_destroy(nullptr);
}

}  // namespace
}  // namespace adyton::sdk
