// The board's two small devices and the bus that leads to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <random>

#include "vmm/mmio_bus.h"
#include "vmm/pl011.h"
#include "vmm/pl031.h"

namespace adyton::vmm {
namespace {

struct Line final : IrqLine {
  void set(bool value) override {
    level = value;
    level.notify_all();
  }
  std::atomic<bool> level = false;
};

uint32_t read32(MmioDevice& device, uint64_t offset) {
  uint32_t value = 0;
  device.read(offset, std::span(reinterpret_cast<uint8_t*>(&value), 4));
  return value;
}
void write32(MmioDevice& device, uint64_t offset, uint32_t value) {
  device.write(offset, std::span(reinterpret_cast<const uint8_t*>(&value), 4));
}

class Pl011Test : public ::testing::Test {
 protected:
  enum : uint64_t {
    kDr = 0,
    kFr = 0x18,
    kLcr = 0x2c,
    kCr = 0x30,
    kIfls = 0x34,
    kImsc = 0x38,
    kRis = 0x3c,
    kMis = 0x40,
    kIcr = 0x44
  };
  static constexpr uint32_t kRx = 1 << 4, kTx = 1 << 5, kTimeout = 1 << 6;
  static constexpr uint32_t kFrRxEmpty = 1 << 4, kFrTxFull = 1 << 5, kFrRxFull = 1 << 6;

  // As the drivers of Linux and U-Boot do: FIFOs on, transmitter and receiver on.
  void open() {
    write32(uart_, kLcr, 0x70);
    write32(uart_, kCr, 0x301);
  }
  size_t type(std::string_view text) {
    return uart_.receive(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  std::string drain() {
    std::string text;
    while (!(read32(uart_, kFr) & kFrRxEmpty)) text += static_cast<char>(read32(uart_, kDr));
    return text;
  }

  Line line_;
  std::string output_;
  int ready_ = 0;
  Pl011 uart_{line_,
              {.output = [this](std::span<const uint8_t> bytes) { output_.append(bytes.begin(), bytes.end()); },
               .input_ready = [this] { ++ready_; }}};
};

TEST_F(Pl011Test, IdentifiesItself) {
  const uint32_t expected[8] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(read32(uart_, 0xfe0 + 4 * i), expected[i]) << i;
}

TEST_F(Pl011Test, TransmitsAtOnce) {
  for (char c : std::string("hello\n")) {
    EXPECT_FALSE(read32(uart_, kFr) & kFrTxFull);
    write32(uart_, kDr, static_cast<uint8_t>(c));
  }
  EXPECT_EQ(output_, "hello\n");
  uint8_t byte = '!';
  uart_.write(kDr, std::span(&byte, 1));  // earlycon stores bytes
  EXPECT_EQ(output_, "hello\n!");
}

TEST_F(Pl011Test, TransmitInterruptComesAfterAByte) {
  open();
  write32(uart_, kImsc, kTx);
  EXPECT_FALSE(line_.level) << "no byte has gone through the trigger level yet";
  write32(uart_, kDr, 'x');
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read32(uart_, kMis), kTx);
  write32(uart_, kIcr, kTx);
  EXPECT_FALSE(line_.level);
  write32(uart_, kDr, 'y');
  EXPECT_TRUE(line_.level);
  write32(uart_, kImsc, 0);
  EXPECT_FALSE(line_.level);
}

TEST_F(Pl011Test, ReceivesWithTimeoutInterrupt) {
  EXPECT_EQ(type("x"), 0u) << "the receiver is off";
  open();
  EXPECT_EQ(ready_, 1) << "now it is on, and someone waits";
  write32(uart_, kImsc, kRx | kTimeout);
  EXPECT_EQ(type("ls\n"), 3u);
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read32(uart_, kMis), kTimeout) << "below the trigger level of half the FIFO";
  EXPECT_EQ(drain(), "ls\n");
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read32(uart_, kRis) & (kRx | kTimeout), 0u);
}

TEST_F(Pl011Test, FifoFillsAndAsksForMore) {
  open();
  write32(uart_, kImsc, kRx);
  std::string text(100, 'a');
  EXPECT_EQ(type(text), 32u);
  EXPECT_TRUE(read32(uart_, kFr) & kFrRxFull);
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(ready_, 0);
  read32(uart_, kDr);
  EXPECT_EQ(ready_, 1);
  read32(uart_, kDr);
  EXPECT_EQ(ready_, 1) << "told once";
  EXPECT_EQ(type(text), 2u);
  while (!(read32(uart_, kFr) & kFrRxEmpty)) read32(uart_, kDr);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read32(uart_, kDr), 0u) << "empty";
}

TEST_F(Pl011Test, TriggerLevelsAndSingleByteMode) {
  open();
  write32(uart_, kIfls, 0 << 3);  // an eighth
  type("123");
  EXPECT_EQ(read32(uart_, kRis) & kRx, 0u);
  type("4");
  EXPECT_EQ(read32(uart_, kRis) & kRx, kRx);
  write32(uart_, kLcr, 0x60);  // FIFOs off: flushed, depth one
  EXPECT_TRUE(read32(uart_, kFr) & kFrRxEmpty);
  EXPECT_EQ(type("ab"), 1u);
  EXPECT_EQ(read32(uart_, kRis) & kRx, kRx);
  EXPECT_TRUE(read32(uart_, kFr) & kFrRxFull);
  EXPECT_EQ(drain(), "a");
}

TEST_F(Pl011Test, LoopbackStaysInside) {
  write32(uart_, kLcr, 0x70);
  write32(uart_, kCr, 0x381);
  write32(uart_, kDr, 'z');
  EXPECT_EQ(output_, "");
  EXPECT_EQ(drain(), "z");
}

TEST_F(Pl011Test, AnyAccessIsAnswered) {
  std::random_device device;
  unsigned seed = device();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    uint8_t data[8];
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
    auto bytes = std::span(data).first(1u << random() % 4);
    uint64_t offset = random() % (0x1000 - 8);
    if (random() % 2)
      uart_.read(offset, bytes);
    else
      uart_.write(random() % 2 ? offset : offset & 0x4c, bytes);
    if (random() % 8 == 0) type("abcdefgh");
  }
}

class Pl031Test : public ::testing::Test {
 protected:
  enum : uint64_t { kDr = 0, kMr = 4, kLr = 8, kCr = 0xc, kImsc = 0x10, kRis = 0x14, kMis = 0x18, kIcr = 0x1c };
  Line line_;
  std::atomic<int64_t> now_ = 1'700'000'000;
  Pl031 rtc_{line_, [this] { return now_.load(); }};
};

TEST_F(Pl031Test, TellsTheTime) {
  EXPECT_EQ(read32(rtc_, kDr), 1'700'000'000u);
  now_ += 5;
  EXPECT_EQ(read32(rtc_, kDr), 1'700'000'005u);
  EXPECT_EQ(read32(rtc_, kCr), 1u);
  EXPECT_EQ(read32(rtc_, 0xfe0), 0x31u);
  EXPECT_EQ(read32(rtc_, 0xffc), 0xb1u);
}

TEST_F(Pl031Test, CanBeSet) {
  write32(rtc_, kLr, 1000);
  EXPECT_EQ(read32(rtc_, kDr), 1000u);
  now_ += 7;
  EXPECT_EQ(read32(rtc_, kDr), 1007u);
  EXPECT_EQ(read32(rtc_, kLr), 1000u);
}

TEST_F(Pl031Test, RingsTheAlarmWhenARegisterIsUsed) {
  write32(rtc_, kImsc, 1);
  EXPECT_EQ(read32(rtc_, kRis), 0u);
  write32(rtc_, kMr, 1'700'000'010);
  EXPECT_FALSE(line_.level);
  now_ += 10;
  EXPECT_EQ(read32(rtc_, kMis), 1u);
  EXPECT_TRUE(line_.level);
  write32(rtc_, kImsc, 0);
  EXPECT_FALSE(line_.level);
  write32(rtc_, kImsc, 1);
  EXPECT_TRUE(line_.level);
  write32(rtc_, kIcr, 1);
  EXPECT_FALSE(line_.level);
  now_ += 10;
  EXPECT_EQ(read32(rtc_, kRis), 0u) << "once";
}

TEST_F(Pl031Test, RingsTheAlarmByItself) {
  Pl031 rtc(line_, [] { return static_cast<int64_t>(::time(nullptr)); });
  ASSERT_TRUE(rtc.start());
  write32(rtc, kImsc, 1);
  write32(rtc, kMr, read32(rtc, kDr) + 1);
  line_.level.wait(false);
  EXPECT_EQ(read32(rtc, kMis), 1u);
  write32(rtc, kMr, read32(rtc, kDr) + 1000);  // ends with the device
}

struct Recorder final : MmioDevice {
  void read(uint64_t offset, std::span<uint8_t> data) override { set_mmio_value(data, offset); }
  void write(uint64_t offset, std::span<const uint8_t> data) override { last = {offset, mmio_value(data)}; }
  [[nodiscard]] std::string_view name() const override { return "recorder"; }
  std::pair<uint64_t, uint64_t> last;
};

TEST(MmioBus, FindsTheDevice) {
  MmioBus bus;
  Recorder first, second;
  ASSERT_TRUE(bus.add(0x2000, 0x200, second));
  ASSERT_TRUE(bus.add(0x1000, 0x1000, first));
  uint32_t value = 1;
  auto bytes = std::span(reinterpret_cast<uint8_t*>(&value), 4);
  EXPECT_TRUE(bus.read(0x1ffc, bytes));
  EXPECT_EQ(value, 0xffcu);
  EXPECT_TRUE(bus.write(0x2000, bytes));
  EXPECT_EQ(second.last.second, 0xffcu);
  EXPECT_FALSE(bus.read(0x1ffe, bytes)) << "across the border";
  EXPECT_EQ(value, 0u);
  EXPECT_FALSE(bus.read(0x2200, bytes));
  EXPECT_FALSE(bus.read(0, bytes));
  EXPECT_FALSE(bus.write(~0ull, bytes));
}

TEST(MmioBus, RefusesOverlaps) {
  MmioBus bus;
  Recorder device;
  ASSERT_TRUE(bus.add(0x1000, 0x1000, device));
  EXPECT_FALSE(bus.add(0x1800, 0x10, device));
  EXPECT_FALSE(bus.add(0xfff, 2, device));
  EXPECT_FALSE(bus.add(0x0, 0x10000, device));
  EXPECT_FALSE(bus.add(0x5000, 0, device));
  EXPECT_FALSE(bus.add(~0ull, 2, device));
  EXPECT_TRUE(bus.add(0x2000, 1, device));
}

}  // namespace
}  // namespace adyton::vmm
