// Dumps of a real machine, to readers who sleep and who die.
#include "vmm/inspect/dumper.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "observe/dump_stream.h"
#include "vmm/testing/counting_machine.h"

namespace adyton::vmm::inspect {
namespace {

class DumperTest : public vmm::testing::CountingMachine {
 protected:
  // More than a socket holds.
  static constexpr uint64_t kContents = 8 << 20;

  void SetUp() override {
    CountingMachine::SetUp();
    if (HasFatalFailure()) return;
    std::ranges::fill(machine_->memory().slice(vmm::testing::kProgramStart + (1 << 20), kContents), uint8_t{0x5a});
    ASSERT_TRUE(machine_->start());
    expect_guest_runs();
  }
  void TearDown() override {
    if (dumper_) dumper_->stop();
    if (machine_) machine_->stop();
  }
  void make(std::chrono::milliseconds patience) {
    auto dumper = Dumper::create(*machine_, patience);
    ASSERT_TRUE(dumper) << dumper.error().message;
    dumper_ = std::move(*dumper);
    ASSERT_TRUE(dumper_->start());
  }
  // A dump that has begun: the guest stands still, and less than all fits between it and us.
  UniqueFd begin() {
    auto stream = dumper_->dump();
    EXPECT_TRUE(stream) << stream.error().message;
    char byte = 0;
    EXPECT_EQ(::recv(stream->get(), &byte, 1, MSG_PEEK), 1);
    return std::move(*stream);
  }
  // The one before is over, and the next one is whole.
  void expect_service() {
    auto stream = dumper_->dump();
    while (!stream) {
      ASSERT_EQ(stream.error().code, ErrorCode::kUnavailable);
      std::this_thread::yield();
      stream = dumper_->dump();
    }
    expect_whole(stream->get());
  }
  void expect_whole(int stream) {
    const UniqueFd file(::memfd_create("core", MFD_CLOEXEC));
    const auto size = observe::receive_dump(stream, file.get());
    ASSERT_TRUE(size) << size.error().message;
    EXPECT_GT(*size, kContents);
  }

  std::unique_ptr<Dumper> dumper_;
};

TEST_F(DumperTest, TheGuestStandsStillForASlowReaderWhoGetsAllOfIt) {
  make(Dumper::kPatience);
  const UniqueFd stream = begin();
  const uint64_t before = count();
  EXPECT_EQ(dumper_->dump().error().code, ErrorCode::kUnavailable) << "one at a time";
  EXPECT_EQ(count(), before);
  expect_whole(stream.get());
  expect_guest_runs();
}

TEST_F(DumperTest, AReaderWhoTakesNothingIsLeftAlone) {
  make(std::chrono::milliseconds(1));
  const UniqueFd stream = begin();
  expect_guest_runs();
  const UniqueFd file(::memfd_create("core", MFD_CLOEXEC));
  EXPECT_FALSE(observe::receive_dump(stream.get(), file.get())) << "half a dump is none";
}

TEST_F(DumperTest, AReaderWhoDiesLetsTheGuestGoOn) {
  make(Dumper::kPatience);
  begin().reset();
  expect_guest_runs();
  expect_service();
  expect_guest_runs();
}

TEST_F(DumperTest, EndsWithTheVmWhateverItsReaderDoes) {
  make(Dumper::kPatience);
  const UniqueFd stream = begin();
  dumper_->stop();
  expect_guest_runs();
}

}  // namespace
}  // namespace adyton::vmm::inspect
