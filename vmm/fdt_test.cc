#include "vmm/fdt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libfdt.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "vmm/board.h"

namespace adyton::vmm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FdtTest : public ::testing::Test {
 protected:
  void build(const FdtConfig& config) {
    auto blob = build_fdt(config);
    ASSERT_TRUE(blob) << blob.error().message;
    blob_ = std::move(*blob);
    ASSERT_EQ(fdt_check_full(blob_.data(), blob_.size()), 0);
  }
  std::string text(const char* path, const char* property) {
    int size = 0;
    const void* data = fdt_getprop(blob_.data(), fdt_path_offset(blob_.data(), path), property, &size);
    return data ? std::string(static_cast<const char*>(data), static_cast<size_t>(size)) : "(none)";
  }
  std::vector<uint32_t> cells(const char* path, const char* property) {
    std::string bytes = text(path, property);
    std::vector<uint32_t> values(bytes.size() / 4);
    for (size_t i = 0; i < values.size(); ++i) {
      uint32_t value;
      std::memcpy(&value, bytes.data() + 4 * i, 4);
      values[i] = fdt32_to_cpu(value);
    }
    return values;
  }
  bool has(const char* path) { return fdt_path_offset(blob_.data(), path) >= 0; }
  std::vector<uint8_t> blob_;
};

TEST_F(FdtTest, TellsTheInstanceId) {
  const std::string id("\0an identity", 12);
  build({.ram_size = 64 << 20, .bootargs = "", .instance_id = id});
  EXPECT_EQ(text("/avf/untrusted", "instance-id"), id);
}

TEST_F(FdtTest, DescribesTheBoard) {
  FdtConfig config{.cpus = 18, .ram_size = 5ull << 30, .bootargs = "console=ttyAMA0 quiet", .virtio_slots = {0, 3}};
  config.initrd = {0x4820'0000, 12345};
  config.rng_seed.fill(0xa5);
  config.kaslr_seed = 0x0123456789abcdef;
  build(config);
  EXPECT_EQ(text("/chosen", "bootargs"), std::string("console=ttyAMA0 quiet\0", 22));
  EXPECT_EQ(text("/chosen", "stdout-path"), std::string("/pl011@9000000\0", 15));
  EXPECT_THAT(cells("/chosen", "linux,initrd-start"), ElementsAre(0, 0x4820'0000));
  EXPECT_THAT(cells("/chosen", "linux,initrd-end"), ElementsAre(0, 0x4820'0000 + 12345));
  EXPECT_THAT(cells("/chosen", "kaslr-seed"), ElementsAre(0x01234567, 0x89abcdef));
  EXPECT_EQ(text("/chosen", "rng-seed"), std::string(32, '\xa5'));
  EXPECT_FALSE(has("/avf"));
  EXPECT_THAT(cells("/memory@40000000", "reg"), ElementsAre(0, 0x4000'0000, 1, 0x4000'0000));
  EXPECT_THAT(cells("/cpus/cpu@0", "reg"), ElementsAre(0, 0));
  EXPECT_THAT(cells("/cpus/cpu@f", "reg"), ElementsAre(0, 15));
  EXPECT_THAT(cells("/cpus/cpu@101", "reg"), ElementsAre(0, 0x101));
  EXPECT_EQ(text("/cpus/cpu@101", "enable-method"), std::string("psci\0", 5));
  EXPECT_FALSE(has("/cpus/cpu@102"));
  EXPECT_EQ(text("/psci", "method"), std::string("hvc\0", 4));
  EXPECT_THAT(cells("/intc@8000000", "reg"), ElementsAre(0, 0x800'0000, 0, 0x1'0000, 0, 0x80a'0000, 0, 18 * 0x2'0000));
  EXPECT_THAT(cells("/timer", "interrupts"), ElementsAre(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
  EXPECT_THAT(cells("/pl011@9000000", "interrupts"), ElementsAre(0, 1, 4));
  EXPECT_EQ(cells("/pl011@9000000", "clocks")[0], cells("/apb-pclk", "phandle")[0]);
  EXPECT_EQ(cells("/", "interrupt-parent"), cells("/intc@8000000", "phandle"));
  EXPECT_TRUE(has("/pl031@9010000"));
  EXPECT_THAT(cells("/virtio_mmio@a000600", "reg"), ElementsAre(0, 0xa00'0600, 0, 0x200));
  EXPECT_THAT(cells("/virtio_mmio@a000600", "interrupts"), ElementsAre(0, 19, 4));
  EXPECT_TRUE(has("/virtio_mmio@a000000"));
  EXPECT_FALSE(has("/virtio_mmio@a000200"));
}

TEST_F(FdtTest, AWatchdogIsThereWhenAskedFor) {
  build({.cpus = 1, .ram_size = 1 << 30, .watchdog_seconds = 30});
  EXPECT_EQ(text("/watchdog@9190000", "compatible"), std::string("arm,sbsa-gwdt\0", 14));
  EXPECT_THAT(cells("/watchdog@9190000", "reg"), ElementsAre(0, 0x919'0000, 0, 0x1000, 0, 0x918'0000, 0, 0x1000));
  EXPECT_THAT(cells("/watchdog@9190000", "interrupts"), ElementsAre(0, 10, 4));
  EXPECT_THAT(cells("/watchdog@9190000", "timeout-sec"), ElementsAre(30));
  build({.cpus = 1, .ram_size = 1 << 30});
  EXPECT_FALSE(has("/watchdog@9190000"));
}

TEST_F(FdtTest, ConduitAndInitrdAreOptional) {
  build({.cpus = 1, .ram_size = 1 << 30, .psci_by_smc = true});
  EXPECT_EQ(text("/psci", "method"), std::string("smc\0", 4));
  EXPECT_EQ(text("/chosen", "linux,initrd-start"), "(none)");
}

TEST_F(FdtTest, RefusesWhatCannotBeSaid) {
  EXPECT_FALSE(build_fdt({.cpus = 1, .bootargs = std::string("a\0b", 3)}));
  EXPECT_FALSE(build_fdt({.cpus = 1, .virtio_slots = {32}}));
  auto huge = build_fdt({.cpus = 1, .bootargs = std::string(4 << 20, 'x')});
  ASSERT_FALSE(huge);
  EXPECT_THAT(huge.error().message, HasSubstr("device tree"));
}

// The compiler of device trees finds nothing to warn about.
TEST_F(FdtTest, PleasesDtc) {
  if (std::system("dtc --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "dtc is not installed";
  build({.cpus = 2, .ram_size = 1 << 30, .bootargs = "x", .virtio_slots = {0, 1}, .watchdog_seconds = 1});
  std::string path = ::testing::TempDir() + fmt::format("fdt_test.{}.dtb", ::getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(blob_.data()), static_cast<std::streamsize>(blob_.size()));
  FILE* dtc = ::popen(("dtc -I dtb -O dts -o /dev/null " + path + " 2>&1").c_str(), "r");
  ASSERT_NE(dtc, nullptr);
  std::string said;
  char line[256];
  while (std::fgets(line, sizeof line, dtc)) said += line;
  EXPECT_EQ(::pclose(dtc), 0);
  ::unlink(path.c_str());
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace adyton::vmm
