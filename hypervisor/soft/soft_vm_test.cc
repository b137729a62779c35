#include "hypervisor/soft/soft_vm.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "hypervisor/soft/testing/fake_engine.h"

namespace adyton::hypervisor::soft {
namespace {

using testing::fake_time;
using testing::FakeCpu;
using Reason = engine::Exit::Reason;

constexpr GuestPhysAddr kDist = 0x0800'0000, kRedist = 0x080a'0000;

class SoftVmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake_time = 0;
    build(2);
  }
  void build(unsigned count) {
    cpus_.clear();
    vcpus_.clear();
    vm_ = testing::make_fake_vm(cpus_);
    ASSERT_TRUE(memory_.regions().size() || memory_.add_ram(0x4000'0000, 0x10000));
    ASSERT_TRUE(vm_->set_memory(memory_));
    for (unsigned i = 0; i < count; ++i) vcpus_.push_back(*vm_->create_vcpu(i));
    ASSERT_TRUE(vm_->create_irqchip({kDist, kRedist, 64}));
    for (unsigned i = 0; i < count; ++i) ASSERT_TRUE(vcpus_[i]->init({.powered_on = i == 0, .entry = 0x4000'0000, .x0 = 42}));
  }
  template <typename T>
  T run(unsigned cpu) {
    auto exit = vcpus_[cpu]->run();
    EXPECT_TRUE(exit);
    EXPECT_TRUE(exit && std::holds_alternative<T>(*exit)) << (exit ? exit->index() : 99);
    return exit && std::holds_alternative<T>(*exit) ? std::move(std::get<T>(*exit)) : T{};
  }
  // Lets an SPI through to vCPU 0 as a booted guest would.
  void open_spi(uint32_t intid, bool edge) {
    auto& host = cpus_[0]->host();
    cpus_[0]->then_mmio(kDist, 4, true, 2);
    cpus_[0]->then_mmio(kDist + 0x84, 4, true, ~0u);
    if (edge) cpus_[0]->then_mmio(kDist + 0xc00 + intid / 16 * 4, 4, true, 2u << (intid % 16 * 2));
    cpus_[0]->then_mmio(kDist + 0x104, 4, true, 1u << (intid % 32));
    cpus_[0]->then_mmio(kRedist + 0x14, 4, true, 0);
    cpus_[0]->then_fail();
    run<InternalErrorExit>(0);
    EXPECT_TRUE(host.write_icc(engine::arm64::sysreg_encoding(3, 0, 4, 6, 0), 0xf0));  // PMR
    EXPECT_TRUE(host.write_icc(engine::arm64::sysreg_encoding(3, 0, 12, 12, 7), 1));
  }
  uint64_t acknowledge() {
    uint64_t intid = 0;
    EXPECT_TRUE(cpus_[0]->host().read_icc(engine::arm64::sysreg_encoding(3, 0, 12, 12, 0), intid));
    EXPECT_TRUE(cpus_[0]->host().write_icc(engine::arm64::sysreg_encoding(3, 0, 12, 12, 1), intid));
    return intid;
  }

  GuestMemory memory_;
  std::vector<FakeCpu*> cpus_;
  std::unique_ptr<SoftVm> vm_;
  std::vector<Vcpu*> vcpus_;
};

uint64_t count_of(const UniqueFd& fd) {
  uint64_t value = 0;
  pollfd readable{fd.get(), POLLIN, 0};
  if (::poll(&readable, 1, 0) == 1 && ::read(fd.get(), &value, sizeof value) != sizeof value) return 0;
  return value;
}

TEST_F(SoftVmTest, StartsWhereItIsTold) {
  EXPECT_EQ(cpus_[0]->state().pc, 0x4000'0000u);
  EXPECT_EQ(cpus_[0]->state().x[0], 42u);
  EXPECT_EQ(cpus_[1]->state().mpidr_el1, 0x8000'0001u);
  EXPECT_GT(cpus_[0]->state_changes, 0);
}

TEST_F(SoftVmTest, WantsItsPartsInOrder) {
  std::vector<FakeCpu*> cpus;
  auto vm = testing::make_fake_vm(cpus);
  EXPECT_FALSE(vm->create_vcpu(0)) << "no memory";
  EXPECT_FALSE(vm->set_irq_line(32, true)) << "no irqchip";
  ASSERT_TRUE(vm->set_memory(memory_));
  EXPECT_FALSE(vm->set_memory(memory_));
  EXPECT_FALSE(vm->create_irqchip({kDist, kRedist, 64})) << "no vCPU";
  EXPECT_FALSE(vm->create_vcpu(1));
  auto vcpu = vm->create_vcpu(0);
  ASSERT_TRUE(vcpu);
  EXPECT_FALSE((*vcpu)->run()) << "no irqchip";
  ASSERT_TRUE(vm->create_irqchip({kDist, kRedist, 64}));
  EXPECT_FALSE(vm->create_irqchip({kDist, kRedist, 64}));
  EXPECT_FALSE(vm->create_vcpu(1));
  EXPECT_FALSE(vm->set_irq_line(31, true));
  EXPECT_FALSE(vm->set_irq_line(64, true));
  EXPECT_TRUE(vm->set_irq_line(63, true));
}

// A vCPU takes it over itself when it runs next: until then a debugger may be using its registers.
TEST_F(SoftVmTest, TheVirtualCounterCanStandStill) {
  const auto run_all = [&] {
    for (unsigned i = 0; i < vcpus_.size(); ++i) {
      vcpus_[i]->kick();  // the second one is off
      run<InterruptedExit>(i);
    }
  };
  fake_time = 1000;
  vm_->stop_counter();
  fake_time = 4000;
  vm_->restart_counter();
  for (FakeCpu* cpu : cpus_) EXPECT_EQ(cpu->state().cntvoff, 0u);
  run_all();
  for (FakeCpu* cpu : cpus_) EXPECT_EQ(cpu->state().cntvoff, 3000u);
  for (const uint64_t stopped : {5000, 6000}) {
    fake_time = stopped;
    vm_->stop_counter();
    fake_time = stopped + 250;
    vm_->restart_counter();
  }
  run_all();
  for (FakeCpu* cpu : cpus_) EXPECT_EQ(cpu->state().cntvoff, 3500u);
}

TEST_F(SoftVmTest, MmioLeavesAndComesBackWithAnAnswer) {
  cpus_[0]->then_mmio(0x900'0000, 4, false);
  cpus_[0]->then_mmio(0x900'0004, 2, true, 0xbeef);
  cpus_[0]->then_fail();
  auto read = run<MmioExit>(0);
  EXPECT_EQ(read.address, 0x900'0000u);
  EXPECT_FALSE(read.is_write);
  ASSERT_EQ(read.data.size(), 4u);
  const uint32_t answer = 0x12345678;
  std::memcpy(read.data.data(), &answer, 4);
  auto write = run<MmioExit>(0);
  EXPECT_TRUE(write.is_write);
  ASSERT_EQ(write.data.size(), 2u);
  EXPECT_EQ(write.data[0], 0xef);
  EXPECT_EQ(write.data[1], 0xbe);
  auto error = run<InternalErrorExit>(0);
  EXPECT_NE(error.message.find("end of the script"), std::string::npos);
  ASSERT_EQ(cpus_[0]->answers.size(), 2u);
  EXPECT_EQ(cpus_[0]->answers[0], answer);
}

TEST_F(SoftVmTest, InterruptControllerIsInside) {
  cpus_[0]->then_mmio(kDist + 4, 4, false);
  cpus_[0]->then_mmio(kRedist + kRedistributorSize + 8, 8, false);
  cpus_[0]->then_mmio(kRedist + 2 * kRedistributorSize, 4, false);  // behind the last
  run<MmioExit>(0);
  ASSERT_EQ(cpus_[0]->answers.size(), 2u);
  EXPECT_EQ(cpus_[0]->answers[0] & 0x1f, 1u);
  EXPECT_EQ(cpus_[0]->answers[1] >> 32, 1u);
}

TEST_F(SoftVmTest, DoorbellsDoNotLeave) {
  UniqueFd any(::eventfd(0, EFD_CLOEXEC)), queue1(::eventfd(0, EFD_CLOEXEC));
  IoEventFd doorbell{.address = 0xa00'0250, .length = 4, .match_data = true, .data = 1, .eventfd = queue1.get()};
  ASSERT_TRUE(vm_->add_ioeventfd(doorbell));
  ASSERT_TRUE(vm_->add_ioeventfd({.address = 0xa00'0050, .length = 4, .eventfd = any.get()}));
  EXPECT_FALSE(vm_->add_ioeventfd(doorbell)) << "twice";
  EXPECT_FALSE(vm_->add_ioeventfd({.address = 0, .length = 3, .eventfd = any.get()}));
  cpus_[0]->then_mmio(0xa00'0250, 4, true, 1);
  cpus_[0]->then_mmio(0xa00'0050, 4, true, 77);
  cpus_[0]->then_mmio(0xa00'0050, 4, true, 78);
  cpus_[0]->then_mmio(0xa00'0250, 4, true, 2);  // no match
  EXPECT_EQ(run<MmioExit>(0).address, 0xa00'0250u);
  EXPECT_EQ(count_of(queue1), 1u);
  EXPECT_EQ(count_of(any), 2u);
  cpus_[0]->then_mmio(0xa00'0050, 2, true, 77);  // another width
  EXPECT_EQ(run<MmioExit>(0).data.size(), 2u);
  cpus_[0]->then_mmio(0xa00'0050, 4, false);  // a read
  EXPECT_FALSE(run<MmioExit>(0).is_write);
  ASSERT_TRUE(vm_->remove_ioeventfd(doorbell));
  EXPECT_FALSE(vm_->remove_ioeventfd(doorbell));
  cpus_[0]->then_mmio(0xa00'0250, 4, true, 1);
  EXPECT_TRUE(run<MmioExit>(0).is_write);
  EXPECT_EQ(count_of(queue1), 0u);
}

TEST_F(SoftVmTest, CountsWhyTheGuestWasLeft) {
  UniqueFd bell(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(vm_->add_ioeventfd({.address = 0xa00'0050, .length = 4, .eventfd = bell.get()}));
  cpus_[0]->then_mmio(kDist + 4, 4, false);
  cpus_[0]->then_mmio(0xa00'0050, 4, true, 1);
  cpus_[0]->then_mmio(0xa00'0050, 4, true, 1);
  cpus_[0]->then_mmio(0x900'0000, 4, false);
  run<MmioExit>(0);
  std::map<std::string_view, uint64_t> counts;
  for (const Statistic& s : vcpus_[0]->statistics()) counts[s.name] = s.value;
  EXPECT_EQ(counts["exits.irqchip"], 1u);
  EXPECT_EQ(counts["exits.doorbell"], 2u);
  EXPECT_EQ(counts["exits.mmio"], 1u);
  EXPECT_EQ(counts["exits.wfi"], 0u);
  EXPECT_EQ(counts["interrupts"], 7u) << "the engine's own";
  for (const Statistic& s : vm_->statistics()) counts[s.name] = s.value;
  EXPECT_EQ(counts["code_bytes"], 3u);
  EXPECT_EQ(counts["code_flushes"], 1u);
}

TEST_F(SoftVmTest, KickInterruptsOnce) {
  vcpus_[0]->kick();
  vcpus_[0]->kick();
  run<InterruptedExit>(0);
  cpus_[0]->then_fail();
  run<InternalErrorExit>(0);
  EXPECT_EQ(cpus_[0]->kicks, 2);
}

TEST_F(SoftVmTest, KickEndsWaiting) {
  cpus_[0]->then({.reason = Reason::kWaitForInterrupt});
  std::jthread kicker([&] { vcpus_[0]->kick(); });
  run<InterruptedExit>(0);
  // A vCPU that is off can be kicked too.
  std::jthread second([&] { vcpus_[1]->kick(); });
  run<InterruptedExit>(1);
}

TEST_F(SoftVmTest, AnInterruptEndsWaiting) {
  open_spi(40, false);
  cpus_[0]->then({.reason = Reason::kWaitForInterrupt});
  cpus_[0]->then_fail();
  std::jthread device([&] { ASSERT_TRUE(vm_->set_irq_line(40, true)); });
  run<InternalErrorExit>(0);
  EXPECT_TRUE(cpus_[0]->irq());
  ASSERT_TRUE(vm_->set_irq_line(40, false));
  EXPECT_FALSE(cpus_[0]->irq());
}

TEST_F(SoftVmTest, TheTimerEndsWaiting) {
  open_spi(40, false);
  cpus_[0]->then_mmio(kRedist + 0x10080, 4, true, ~0u);
  cpus_[0]->then_mmio(kRedist + 0x10100, 4, true, 1u << 27);
  cpus_[0]->then([](FakeCpu& cpu) {
    cpu.state().cntv_ctl = 1;
    cpu.state().cntv_cval = 1'000'000;  // a millisecond
    cpu.host().timer_changed();
    return engine::Exit{.reason = Reason::kWaitForInterrupt};
  });
  cpus_[0]->then_fail();
  std::jthread time([] { fake_time = 1'000'000; });
  run<InternalErrorExit>(0);
  EXPECT_EQ(acknowledge(), 27u);
}

TEST_F(SoftVmTest, TheTimerInterruptsABusyCpu) {
  open_spi(40, false);
  cpus_[0]->then_mmio(kRedist + 0x10080, 4, true, ~0u);
  cpus_[0]->then_mmio(kRedist + 0x10100, 4, true, 1u << 27);
  cpus_[0]->then([](FakeCpu& cpu) {
    cpu.state().cntv_ctl = 1;
    cpu.state().cntv_cval = 1'000'000;
    cpu.host().timer_changed();
    fake_time = 1'000'000;
    while (!cpu.irq()) std::this_thread::yield();
    return engine::Exit{.reason = Reason::kInternalError, .message = "interrupted"};
  });
  EXPECT_NE(run<InternalErrorExit>(0).message.find("interrupted"), std::string::npos);
}

TEST_F(SoftVmTest, WaitingForAnEventIsBounded) {
  for (int i = 0; i < 100; ++i) cpus_[0]->then({.reason = Reason::kWaitForInterrupt, .wait_for_event = true});
  cpus_[0]->then_fail();
  run<InternalErrorExit>(0);
  cpus_[1]->host().send_event();
}

TEST_F(SoftVmTest, CpusStartAndStopByPsci) {
  std::jthread second([&] {
    cpus_[1]->then([&](FakeCpu& cpu) {
      EXPECT_EQ(cpu.state().pc, 0x4000'8000u);
      EXPECT_EQ(cpu.state().x[0], 7u);
      EXPECT_EQ(cpu.state().el, 1);
      cpu.state().x[0] = 0x84000002;  // CPU_OFF
      return engine::Exit{.reason = Reason::kHypercall};
    });
    run<InterruptedExit>(1);
  });
  cpus_[0]->then_hypercall(0xc4000003, 1, 0x4000'8000, 7);
  cpus_[0]->then([](FakeCpu& cpu) {
    EXPECT_EQ(cpu.state().x[0], 0u);
    return engine::Exit{};
  });
  // Wait until it is off again, as an operating system does.
  auto still_on = std::make_shared<std::function<engine::Exit(FakeCpu&)>>();
  *still_on = [still_on](FakeCpu& cpu) {
    if (cpu.state().x[0] == 1) return engine::Exit{.reason = Reason::kInternalError, .message = "off"};
    cpu.state().x[0] = 0xc4000004;
    cpu.state().x[1] = 1;
    cpu.state().x[2] = 0;
    cpu.then(*still_on);
    return engine::Exit{.reason = Reason::kHypercall};
  };
  cpus_[0]->then(*still_on);
  run<InternalErrorExit>(0);
  vcpus_[1]->kick();
  second.join();
  *still_on = nullptr;
}

TEST_F(SoftVmTest, SystemEventsLeave) {
  cpus_[0]->then_hypercall(0x84000008);
  EXPECT_EQ(run<SystemEventExit>(0).type, SystemEventExit::Type::kShutdown);
  cpus_[0]->then_hypercall(0x84000009);
  EXPECT_EQ(run<SystemEventExit>(0).type, SystemEventExit::Type::kReset);
}

TEST_F(SoftVmTest, EventfdsRaiseInterrupts) {
  open_spi(45, true);
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(vm_->add_irqfd(fd.get(), 45));
  EXPECT_FALSE(vm_->add_irqfd(fd.get(), 45));
  EXPECT_FALSE(vm_->add_irqfd(fd.get(), 12));
  const uint64_t one = 1;
  cpus_[0]->then({.reason = Reason::kWaitForInterrupt});
  cpus_[0]->then_fail();
  ASSERT_EQ(::write(fd.get(), &one, 8), 8);
  run<InternalErrorExit>(0);
  EXPECT_EQ(acknowledge(), 45u);
  ASSERT_TRUE(vm_->remove_irqfd(fd.get(), 45));
  EXPECT_FALSE(vm_->remove_irqfd(fd.get(), 45));
  ASSERT_EQ(::write(fd.get(), &one, 8), 8);
  EXPECT_EQ(count_of(fd), 1u) << "nobody else reads it";
  EXPECT_FALSE(cpus_[0]->irq());
}

TEST_F(SoftVmTest, RegistersHaveKvmsNumbers) {
  engine::arm64::CpuState& state = cpus_[0]->state();
  state.x[5] = 0x55;
  state.sp_el[0] = 0x1000;
  state.x[31] = 0x2000;
  EXPECT_EQ(reg_x(5), 0x6030'0000'0010'000aull);
  EXPECT_EQ(*vcpus_[0]->get_reg(reg_x(5)), 0x55u);
  EXPECT_EQ(*vcpus_[0]->get_reg(kRegSp), 0x1000u);
  EXPECT_EQ(*vcpus_[0]->get_reg(kRegSpEl1), 0x2000u);
  ASSERT_TRUE(vcpus_[0]->set_reg(kRegPstate, 0x6000'03c4));  // EL1t, ZC, DAIF
  EXPECT_EQ(*vcpus_[0]->get_reg(kRegPstate), 0x6000'03c4u);
  EXPECT_EQ(state.x[31], 0x1000u) << "SP_EL0 is current now";
  EXPECT_EQ(*vcpus_[0]->get_reg(kRegSpEl1), 0x2000u);
  EXPECT_FALSE(vcpus_[0]->set_reg(kRegPstate, 0x10)) << "AArch32";
  EXPECT_FALSE(vcpus_[0]->set_reg(kRegPstate, 0x9)) << "EL2";
  uint64_t vbar = reg_sysreg(3, 0, 12, 0, 0);
  ASSERT_TRUE(vcpus_[0]->set_reg(vbar, 0xffff'8000'0000'0800));
  EXPECT_EQ(state.vbar_el[1], 0xffff'8000'0000'0800u);
  EXPECT_EQ(*vcpus_[0]->get_reg(vbar), 0xffff'8000'0000'0800u);
  EXPECT_FALSE(vcpus_[0]->set_reg(reg_sysreg(3, 0, 0, 0, 5), 1)) << "MPIDR is fixed";
  EXPECT_FALSE(vcpus_[0]->get_reg(reg_sysreg(3, 7, 15, 15, 7)));
  std::array<uint8_t, 16> vector{};
  state.v[31].d[1] = 0x0123456789abcdef;
  ASSERT_TRUE(vcpus_[0]->get_one_reg(reg_v(31), vector));
  EXPECT_EQ(vector[8], 0xef);
  EXPECT_FALSE(vcpus_[0]->get_one_reg(reg_v(31), std::span(vector).first(8)));
  EXPECT_FALSE(vcpus_[0]->get_reg(reg_v(0)));
  ASSERT_TRUE(vcpus_[0]->set_reg(kRegFpcr, 0x0300'0000));
  EXPECT_EQ(state.fpcr, 0x0300'0000u);
}

}  // namespace
}  // namespace adyton::hypervisor::soft
