#include "vmm/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libfdt.h>

#include <atomic>
#include <cstring>
#include <functional>

#include "base/log/testing.h"

namespace adyton::vmm {
namespace {

using hypervisor::Exit;
using ::testing::HasSubstr;

// A vCPU whose guest is a C++ function: run() calls it for the next exit.
class ScriptedVcpu final : public hypervisor::Vcpu {
 public:
  explicit ScriptedVcpu(unsigned index) : index_(index) {}
  [[nodiscard]] unsigned index() const override { return index_; }
  [[nodiscard]] uint64_t affinity() const override { return hypervisor::vcpu_affinity(index_); }
  Result<void> init(const hypervisor::VcpuInit& init) override {
    initial = init;
    return {};
  }
  Result<Exit> run() override {
    ++runs;
    if (initial.powered_on && guest) {
      if (auto exit = guest(*this)) return std::move(*exit);
    }
    kicked_.wait(false);
    kicked_ = false;
    return hypervisor::InterruptedExit{};
  }
  void kick() override {
    kicked_ = true;
    kicked_.notify_all();
  }
  Result<void> get_one_reg(uint64_t, std::span<uint8_t>) override { return fail(ErrorCode::kNotFound, "none"); }
  Result<void> set_one_reg(uint64_t, std::span<const uint8_t>) override { return fail(ErrorCode::kNotFound, "none"); }
  [[nodiscard]] std::vector<hypervisor::Statistic> statistics() const override { return {}; }

  // No exit: waits for a kick.
  std::function<std::optional<Result<Exit>>(ScriptedVcpu&)> guest;
  hypervisor::VcpuInit initial;
  std::atomic<int> runs = 0;
  std::array<uint8_t, 8> mmio{};

 private:
  const unsigned index_;
  std::atomic<bool> kicked_ = false;
};

class ScriptedVm final : public hypervisor::Vm {
 public:
  [[nodiscard]] const hypervisor::Capabilities& capabilities() const override { return capabilities_; }
  Result<void> set_memory(const GuestMemory&) override { return {}; }
  Result<hypervisor::Vcpu*> create_vcpu(unsigned index) override {
    vcpus.push_back(std::make_unique<ScriptedVcpu>(index));
    return vcpus.back().get();
  }
  Result<void> create_irqchip(const hypervisor::IrqchipConfig&) override { return {}; }
  void memory_written(GuestPhysAddr, uint64_t) override {}
  void stop_counter() override { ++counter_stops; }
  [[nodiscard]] uint64_t counter() const override { return count; }
  [[nodiscard]] uint64_t counter_frequency() const override { return 1'000'000'000; }
  std::atomic<uint64_t> count = 0;
  void restart_counter() override { ++counter_restarts; }
  Result<void> set_irq_line(uint32_t intid, bool level) override {
    lines.emplace_back(intid, level);
    return {};
  }
  Result<void> add_irqfd(int, uint32_t) override { return {}; }
  Result<void> remove_irqfd(int, uint32_t) override { return {}; }
  Result<void> add_ioeventfd(const hypervisor::IoEventFd& doorbell) override {
    doorbells.push_back(doorbell);
    return {};
  }
  Result<void> remove_ioeventfd(const hypervisor::IoEventFd&) override { return {}; }
  [[nodiscard]] std::vector<hypervisor::Statistic> statistics() const override { return {}; }

  std::vector<std::unique_ptr<ScriptedVcpu>> vcpus;
  std::vector<std::pair<uint32_t, bool>> lines;
  int counter_stops = 0, counter_restarts = 0;
  std::vector<hypervisor::IoEventFd> doorbells;

 private:
  const hypervisor::Capabilities capabilities_{.backend = "scripted", .max_vcpus = 8, .max_intid = 1020};
};

std::vector<uint8_t> tiny_image() {
  std::vector<uint8_t> bytes(4096);
  const uint64_t size = 1 << 20;
  std::memcpy(bytes.data() + 16, &size, 8);
  std::memcpy(bytes.data() + 56, "ARM\x64", 4);
  return bytes;
}

class MachineTest : public ::testing::Test {
 protected:
  void create(unsigned cpus = 2, uint64_t memory = 64 << 20, bool firmware = false, uint32_t watchdog_seconds = 0) {
    auto vm = std::make_unique<ScriptedVm>();
    vm_ = vm.get();
    auto machine = Machine::create(
        {.cpus = cpus,
         .memory_size = memory,
         .firmware_memory = firmware,
         .watchdog_seconds = watchdog_seconds,
         .console = {.output = [this](std::span<const uint8_t> bytes) { output_.append(bytes.begin(), bytes.end()); }}},
        std::move(vm));
    ASSERT_TRUE(machine) << machine.error().message;
    machine_ = std::move(*machine);
  }
  void load() { ASSERT_TRUE(machine_->load({.kernel = &kernel_})); }
  std::string create_error(MachineConfig config) {
    config.console.output = [](std::span<const uint8_t>) {};
    auto machine = Machine::create(std::move(config), std::make_unique<ScriptedVm>());
    EXPECT_FALSE(machine);
    return machine ? "" : machine.error().message;
  }

  std::vector<uint8_t> image_ = tiny_image();
  MemorySource kernel_{image_};
  std::string output_;
  std::unique_ptr<Machine> machine_;
  ScriptedVm* vm_ = nullptr;
};

TEST_F(MachineTest, ChecksItsSize) {
  EXPECT_THAT(create_error({.cpus = 0}), HasSubstr("0 vCPUs: this machine can have 1 to 8"));
  EXPECT_THAT(create_error({.cpus = 9}), HasSubstr("9 vCPUs"));
  EXPECT_THAT(create_error({.memory_size = 0}), HasSubstr("0 MiB of memory"));
  EXPECT_THAT(create_error({.memory_size = 256ull << 30}), HasSubstr("255 GiB"));
  EXPECT_THAT(create_error({.memory_size = ~0ull}), HasSubstr("255 GiB"));
}

TEST_F(MachineTest, NeedsSomethingToBoot) {
  create();
  EXPECT_FALSE(machine_->start());
  EXPECT_FALSE(machine_->load({}));
  std::vector<uint8_t> junk(4096, 1);
  MemorySource source(junk);
  auto loaded = machine_->load({.kernel = &source});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("kernel: the file is not an arm64 kernel Image"));
  std::vector<uint8_t> big(64 << 20);
  MemorySource initrd(big);
  loaded = machine_->load({.kernel = &kernel_, .initrd = &initrd});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("initrd: the initrd has 64 MiB, but only"));
  loaded = machine_->load({.mode = BootConfig::Mode::kFirmware, .kernel = &kernel_});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("firmware"));
}

TEST_F(MachineTest, PlacesKernelTreeAndInitrd) {
  create();
  auto slot = machine_->add_virtio_slot();
  ASSERT_TRUE(slot);
  std::vector<uint8_t> ramdisk(5000, 0x42);
  MemorySource initrd(ramdisk);
  ASSERT_TRUE(machine_->load({.kernel = &kernel_, .initrd = &initrd, .command_line = "quiet"}));
  vm_->vcpus[0]->guest = [&](ScriptedVcpu&) { return Result<Exit>(hypervisor::SystemEventExit{}); };
  ASSERT_TRUE(machine_->start());
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kShutdown);
  const auto& start = vm_->vcpus[0]->initial;
  EXPECT_TRUE(start.powered_on);
  EXPECT_FALSE(vm_->vcpus[1]->initial.powered_on);
  EXPECT_EQ(start.entry, board::kRamBase);
  auto blob = machine_->memory().slice(start.x0, 4096);
  ASSERT_EQ(fdt_check_header(blob.data()), 0);
  int chosen = fdt_path_offset(blob.data(), "/chosen");
  auto* begin = static_cast<const fdt64_t*>(fdt_getprop(blob.data(), chosen, "linux,initrd-start", nullptr));
  ASSERT_NE(begin, nullptr);
  EXPECT_EQ(*machine_->memory().load<uint8_t>(fdt64_ld(begin) + 4999), 0x42);
  EXPECT_GE(start.x0, board::kRamBase + (1 << 20)) << "behind the kernel's own memory";
  EXPECT_LT(fdt_path_offset(blob.data(), "/virtio_mmio@a000000"), 0) << "an empty slot";
}

TEST_F(MachineTest, FirmwareStartsAtZero) {
  create(1, 64 << 20, true);
  std::vector<uint8_t> rom(100'000, 0x33);
  MemorySource source(rom);
  ASSERT_TRUE(machine_->load({.mode = BootConfig::Mode::kFirmware, .kernel = &source}));
  EXPECT_EQ(*machine_->memory().load<uint8_t>(99'999), 0x33);
  EXPECT_EQ(fdt_check_header(machine_->memory().slice(board::kRamBase, 4096).data()), 0);
}

TEST_F(MachineTest, DevicesAnswerTheGuest) {
  struct Device final : MmioDevice {
    void read(uint64_t offset, std::span<uint8_t> data) override { set_mmio_value(data, offset + 1); }
    void write(uint64_t, std::span<const uint8_t> data) override { line->set(mmio_value(data) != 0); }
    [[nodiscard]] std::string_view name() const override { return "test"; }
    IrqLine* line = nullptr;
  };
  create(1);
  auto device = std::make_unique<Device>();
  unsigned slot = *machine_->add_virtio_slot();
  slot = *machine_->add_virtio_slot();
  device->line = &machine_->irq(slot);
  ASSERT_TRUE(machine_->attach(slot, std::move(device)));
  EXPECT_FALSE(machine_->attach(slot, std::make_unique<Device>())) << "taken";
  EXPECT_FALSE(machine_->attach(7, std::make_unique<Device>())) << "not reserved";
  ASSERT_TRUE(machine_->add_doorbell(slot, 0x50, 3, 99));
  ASSERT_EQ(vm_->doorbells.size(), 1u);
  EXPECT_EQ(vm_->doorbells[0].address, 0xa00'0250u);
  EXPECT_TRUE(vm_->doorbells[0].match_data);
  EXPECT_EQ(vm_->doorbells[0].data, 3u);
  load();
  int step = 0;
  std::vector<uint8_t> seen;
  vm_->vcpus[0]->guest = [&](ScriptedVcpu& vcpu) -> std::optional<Result<Exit>> {
    auto access = [&](uint64_t address, bool write, uint8_t value) {
      vcpu.mmio = {value};
      return Result<Exit>(hypervisor::MmioExit{address, write, std::span(vcpu.mmio).first(4)});
    };
    switch (step++) {
      case 0: return access(0xa00'0207, false, 0);
      case 1: seen.push_back(vcpu.mmio[0]); return access(0xa00'0200, true, 1);
      case 2: return access(0xa00'0200, true, 1);
      case 3: return access(0xa00'0200, true, 0);
      case 4: return access(0x900'0000, true, 'A');
      case 5: return access(0xdead'0000, false, 9);
      case 6: seen.push_back(vcpu.mmio[0]); return access(0xdead'0000, true, 9);
      default: return Result<Exit>(hypervisor::SystemEventExit{hypervisor::SystemEventExit::Type::kReset, 0});
    }
  };
  ASSERT_TRUE(machine_->start());
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kReset);
  EXPECT_EQ(seen, (std::vector<uint8_t>{8, 0}));
  EXPECT_EQ(output_, "A");
  EXPECT_EQ(vm_->lines, (std::vector<std::pair<uint32_t, bool>>{{49, true}, {49, false}})) << "each change once";
}

TEST_F(MachineTest, AWatchdogEndsIt) {
  create(1, 64 << 20, false, 1);
  load();
  // What WCS says: 1 enabled, 2 the first signal, 4 the second one.
  std::vector<uint8_t> control;
  bool read = false;
  vm_->vcpus[0]->guest = [&](ScriptedVcpu& vcpu) -> std::optional<Result<Exit>> {
    if (read) control.push_back(vcpu.mmio[0]);
    if (control.size() > 1 && (control[control.size() - 2] & 2) != 0) return std::nullopt;
    // Says, in turn, that the time is over (WCV), and looks what has come of it.
    read = control.empty() || !read;
    vcpu.mmio = {0};
    return Result<Exit>(
        hypervisor::MmioExit{board::kWatchdogControlBase + (read ? 0 : 0x10), !read, std::span(vcpu.mmio).first(4)});
  };
  ASSERT_TRUE(machine_->start());
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kWatchdog);
  ASSERT_FALSE(control.empty());
  EXPECT_EQ(control[0], 1) << "it is enabled from the start on, and has not signalled";
  EXPECT_THAT(vm_->lines, ::testing::Contains(std::pair(board::kWatchdogIntid, true)));
}

TEST_F(MachineTest, AGuestThatReadsWhereNothingIsWritesABoundedLog) {
  const log::CapturedLog log;
  create(1);
  load();
  int step = 0;
  vm_->vcpus[0]->guest = [&](ScriptedVcpu& vcpu) -> std::optional<Result<Exit>> {
    if (step++ == 100'000) return Result<Exit>(hypervisor::SystemEventExit{hypervisor::SystemEventExit::Type::kReset, 0});
    return Result<Exit>(hypervisor::MmioExit{0xdead'0000, step % 2 == 0, std::span(vcpu.mmio).first(4)});
  };
  ASSERT_TRUE(machine_->start());
  machine_->wait();
  const auto lines = log.lines();
  ASSERT_GE(lines.size(), log::RateLimit::kBurst);
  EXPECT_LE(lines.size(), log.most_lines_of_a_limit());
  EXPECT_THAT(lines[0], HasSubstr("bytes=4: the guest reads at 0xdead0000, where no device is"));
}

TEST_F(MachineTest, EndsOnce) {
  create(2);
  load();
  std::atomic<int> ends = 0;
  vm_->vcpus[0]->guest = [&](ScriptedVcpu&) { return Result<Exit>(hypervisor::InternalErrorExit{"broken"}); };
  ASSERT_TRUE(machine_->start([&](const Machine::End& end) {
    EXPECT_EQ(end.reason, Machine::EndReason::kInternalError);
    ++ends;
  }));
  auto end = machine_->wait();
  EXPECT_EQ(end.message, "broken");
  machine_->stop();
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kInternalError) << "the first reason stays";
  EXPECT_EQ(ends, 1);
}

TEST_F(MachineTest, BackendFailureIsTheEnd) {
  create(1);
  load();
  vm_->vcpus[0]->guest = [&](ScriptedVcpu&) { return Result<Exit>(fail(ErrorCode::kInternal, "no more")); };
  ASSERT_TRUE(machine_->start());
  auto end = machine_->wait();
  EXPECT_EQ(end.reason, Machine::EndReason::kInternalError);
  EXPECT_EQ(end.message, "no more");
}

TEST_F(MachineTest, StopsFromOutside) {
  create(2);
  load();
  ASSERT_TRUE(machine_->start());
  EXPECT_FALSE(machine_->start()) << "only once";
  machine_->stop();
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kStopped);
}

TEST_F(MachineTest, DestructionStops) {
  create(2);
  load();
  ASSERT_TRUE(machine_->start());
  machine_.reset();
}

TEST_F(MachineTest, PauseHoldsEveryVcpu) {
  create(2);
  load();
  std::atomic<int> steps = 0;
  vm_->vcpus[0]->guest = [&](ScriptedVcpu& vcpu) -> std::optional<Result<Exit>> {
    ++steps;
    (void)vcpu;
    return std::nullopt;  // until kicked
  };
  ASSERT_TRUE(machine_->start());
  machine_->pause();
  int before = vm_->vcpus[0]->runs + vm_->vcpus[1]->runs;
  vm_->vcpus[0]->kick();
  vm_->vcpus[1]->kick();
  machine_->pause();  // again: nothing to wait for
  EXPECT_EQ(vm_->vcpus[0]->runs + vm_->vcpus[1]->runs, before);
  EXPECT_EQ(vm_->counter_stops, 1);
  EXPECT_EQ(vm_->counter_restarts, 0);
  machine_->resume();
  machine_->resume();
  EXPECT_EQ(vm_->counter_restarts, 1);
  while (vm_->vcpus[0]->runs + vm_->vcpus[1]->runs < before + 2) std::this_thread::yield();
  machine_->pause();
  machine_->stop();
  EXPECT_EQ(machine_->wait().reason, Machine::EndReason::kStopped);
}

TEST_F(MachineTest, SlotsRunOut) {
  create(1);
  for (unsigned i = 0; i < board::kVirtioMmioCount; ++i) ASSERT_TRUE(machine_->add_virtio_slot());
  EXPECT_FALSE(machine_->add_virtio_slot());
}

}  // namespace
}  // namespace adyton::vmm
