#include "sdk/prepare.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace adyton::sdk {
namespace {

using ::testing::HasSubstr;
using Builder = VirtualMachineConfig::Builder;
namespace fs = std::filesystem;

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() {
    std::string name = (fs::temp_directory_path() / "adyton-prepare.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder = name;
  }
  ~PrepareTest() override {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  std::string file(const std::string& name, const std::string& contents) const {
    std::ofstream(folder / name) << contents;
    return folder / name;
  }
  Builder custom() const { return Builder().setIsolation(IsolationLevel::kNone).setMemoryBytes(1 << 20); }

  static PreparationError refusal(const Builder& builder) {
    const auto config = builder.build();
    if (!config) return {.error = config.error()};
    auto vm = prepare(*config);
    return vm ? PreparationError{.error = {}, .exit_code = 0} : std::move(vm).error();
  }

  fs::path folder;
};

TEST_F(PrepareTest, ACustomVmHasItsFilesOpen) {
  const auto config =
      custom().setKernel(file("Image", "kernel")).setInitrd(file("initrd", "x")).addDisk({file("disk", "d"), false}).build();
  ASSERT_TRUE(config) << config.error().message;
  const auto vm = prepare(*config);
  ASSERT_TRUE(vm) << vm.error().error.message;
  EXPECT_TRUE(vm->kernel.valid());
  EXPECT_FALSE(vm->firmware.valid());
  EXPECT_TRUE(vm->initrd.valid());
  EXPECT_EQ(vm->command_line, "panic=-1");
  EXPECT_FALSE(vm->request);
  ASSERT_EQ(vm->disks.size(), 1u);
  EXPECT_TRUE(vm->disks[0].writable);
  EXPECT_EQ(vm->disks[0].serial, "disk0");
  EXPECT_TRUE(vm->has_writable_disk());
  // Nobody else gets it meanwhile.
  EXPECT_THAT(refusal(custom().setKernel(file("Image", "kernel")).addDisk({folder / "disk", true})).error.message,
              HasSubstr("in use"));
}

TEST_F(PrepareTest, ThePanicParameterIsTheUsersIfHeGivesOne) {
  const std::string kernel = file("Image", "kernel");
  EXPECT_EQ(prepare(*custom().setKernel(kernel).setKernelParameters("quiet").build())->command_line, "panic=-1 quiet");
  EXPECT_EQ(prepare(*custom().setKernel(kernel).setKernelParameters("panic=5").build())->command_line, "panic=5");
  EXPECT_EQ(prepare(*custom().setFirmware(kernel).build())->command_line, "");
}

TEST_F(PrepareTest, TheHostsCpusAreCounted) {
  const auto vm = prepare(*custom().setFirmware(file("f", "x")).setCpuTopology(CpuTopology::kMatchHost).build());
  ASSERT_TRUE(vm);
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(set), &set), 0);
  EXPECT_EQ(vm->cpu_count, static_cast<uint32_t>(CPU_COUNT(&set)));
}

TEST_F(PrepareTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(refusal(custom().setKernel("/nonexistent/Image")).error.message, HasSubstr("/nonexistent/Image"));
  EXPECT_THAT(refusal(custom().setKernel(file("empty", ""))).error.message, HasSubstr("empty"));
  EXPECT_THAT(refusal(custom().setKernel(folder)).error.message, HasSubstr("not a file"));
  EXPECT_THAT(refusal(custom().setKernel(file("k", "k")).setMemoryBytes(uint64_t{1} << 40)).error.message,
              HasSubstr("more than this machine has"));
}

TEST_F(PrepareTest, ThePayloadsFaultsHaveAShellsExitCodes) {
  const auto payload = [](const std::string& path) { return Builder().setPayload(path).setIsolation(IsolationLevel::kNone); };
  EXPECT_EQ(refusal(payload("/nonexistent/app")).exit_code, 127);
  EXPECT_EQ(refusal(payload("/proc/self/exe")).exit_code, 126);
  EXPECT_EQ(refusal(payload(file("text", "words"))).exit_code, 126);
  EXPECT_EQ(refusal(payload(folder)).exit_code, 127);  // a directory without init
  const auto missing_root = refusal(Builder().setRootDirectory("/nonexistent").setIsolation(IsolationLevel::kNone));
  EXPECT_EQ(missing_root.exit_code, 125);
  EXPECT_THAT(missing_root.error.message, HasSubstr("does not exist"));
}

}  // namespace
}  // namespace adyton::sdk
