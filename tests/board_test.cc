// The board with the real engine and a small bare-metal guest (guests/board.S).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>

#include "hypervisor/soft/soft_vm.h"
#include "vmm/machine.h"

namespace adyton {
namespace {

enum class Program : uint32_t { kHello, kReset, kTimer, kPing, kEcho, kSpin };

class BoardTest : public ::testing::Test {
 protected:
  void boot(Program program, unsigned cpus = 1) {
    std::ifstream file(ADYTON_BOARD_GUEST, std::ios::binary);
    image_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_GT(image_.size(), 8u) << ADYTON_BOARD_GUEST;
    std::memcpy(image_.data() + 4, &program, 4);
    source_.emplace(image_);
    auto vm = hypervisor::soft::create_soft_vm();
    ASSERT_TRUE(vm) << vm.error().message;
    auto machine = vmm::Machine::create(
        {.cpus = cpus,
         .memory_size = 16 << 20,
         .console = {.output = [this](std::span<const uint8_t> bytes) { print(bytes); }, .input_ready = [] {}}},
        std::move(*vm));
    ASSERT_TRUE(machine) << machine.error().message;
    machine_ = std::move(*machine);
    auto loaded = machine_->load({.mode = vmm::BootConfig::Mode::kFlat, .kernel = &*source_});
    ASSERT_TRUE(loaded) << loaded.error().message;
    auto started = machine_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void print(std::span<const uint8_t> bytes) {
    std::lock_guard lock(mutex_);
    output_.append(bytes.begin(), bytes.end());
    printed_.notify_all();
  }
  void expect_end(vmm::Machine::EndReason reason, const std::string& output) {
    auto end = machine_->wait();
    EXPECT_EQ(end.reason, reason) << vmm::to_string(end.reason) << ": " << end.message;
    EXPECT_EQ(output_, output);
  }

  std::vector<uint8_t> image_;
  std::optional<vmm::MemorySource> source_;
  std::mutex mutex_;
  std::condition_variable printed_;
  std::string output_;
  std::unique_ptr<vmm::Machine> machine_;
};

using enum vmm::Machine::EndReason;

TEST_F(BoardTest, PrintsAndSwitchesOff) {
  boot(Program::kHello);
  expect_end(kShutdown, "hello\n");
}

TEST_F(BoardTest, Resets) {
  boot(Program::kReset);
  expect_end(kReset, "");
}

TEST_F(BoardTest, TimerWakesASleepingCpu) {
  boot(Program::kTimer);
  expect_end(kShutdown, "ticked\n");
}

TEST_F(BoardTest, CpusStartInterruptEachOtherAndStop) {
  boot(Program::kPing, 2);
  expect_end(kShutdown, "ponged\n");
}

TEST_F(BoardTest, UartEchoes) {
  constexpr std::string_view kText = "the lazy dog jumps over the brown fox, again and again and again: q";
  boot(Program::kEcho);
  // One at a time: the guest's receiver may not be on yet, and its FIFO is short.
  for (std::string_view left = kText; !left.empty();) {
    size_t taken = machine_->uart().receive(std::span(reinterpret_cast<const uint8_t*>(left.data()), 1));
    left.remove_prefix(taken);
    if (taken == 0) std::this_thread::yield();
  }
  expect_end(kShutdown, std::string(kText));
}

TEST_F(BoardTest, StopsPausesAndResumesABusyGuest) {
  boot(Program::kSpin);
  machine_->pause();
  machine_->resume();
  machine_->pause();
  machine_->stop();
  expect_end(kStopped, "");
}

}  // namespace
}  // namespace adyton
