#include "vmm/virtio/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <csignal>
#include <random>

#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using testing::Buffer;
using testing::FakeDriver;
using testing::FakeIrq;

constexpr uint64_t kMultiport = 2;
constexpr uint16_t kDeviceReady = 0;
constexpr uint16_t kPortAdd = 1;
constexpr uint16_t kPortReady = 3;
constexpr uint16_t kConsolePort = 4;
constexpr uint16_t kResize = 5;
constexpr uint16_t kPortOpen = 6;
constexpr uint16_t kPortName = 7;

struct Control {
  uint32_t port;
  uint16_t event;
  uint16_t value;
  std::string extra;
  bool operator==(const Control&) const = default;
};

std::pair<UniqueFd, UniqueFd> make_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string read_now(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = ::read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(count));
  return text;
}

struct ConsoleTest : ::testing::Test {
  // Two ports: a terminal, and a plain port "data".
  ConsoleTest() {
    memory.add_ram(0x40000000, 32 << 20).value();
    auto [a, b] = make_pair();
    auto [c, d] = make_pair();
    terminal = std::move(a);
    data = std::move(c);
    std::vector<ConsoleDevice::Port> ports(2);
    ports[0] = {.console = true, .input = UniqueFd(::dup(b.get())), .output = std::move(b)};
    ports[1] = {.name = "data", .input = UniqueFd(::dup(d.get())), .output = std::move(d)};
    open(std::move(ports));
  }
  void open(std::vector<ConsoleDevice::Port> ports, ResizeOrder order = ResizeOrder::kColumnsFirst) {
    auto owned = ConsoleDevice::create(std::move(ports), {.columns = 100, .rows = 40}, order).value();
    device = owned.get();
    driver.reset();
    transport = MmioTransport::create(memory, irq, std::move(owned)).value();
    driver = std::make_unique<FakeDriver>(memory, *transport, 0x40010000);
  }

  void post_control_buffers() {
    for (int i = 0; i < 32; ++i) {
      const auto buffer = driver->allocate(64);
      control_buffers[*driver->queue(2).add(std::vector<Buffer>{{buffer, 64, true}})] = buffer;
    }
    driver->kick(2);
  }
  void send_control(uint32_t port, uint16_t event, uint16_t value) {
    struct {
      uint32_t port;
      uint16_t event, value;
    } message{port, event, value};
    const auto at = driver->place(std::span(reinterpret_cast<const uint8_t*>(&message), sizeof(message)));
    driver->queue(3).add(std::vector<Buffer>{{at, sizeof(message), false}});
    driver->kick(3);
    driver->settle();
    while (driver->queue(3).take_used()) {}
  }
  std::vector<Control> receive_control() {
    driver->settle();
    std::vector<Control> messages;
    while (const auto used = driver->queue(2).take_used()) {
      const auto bytes = driver->bytes(control_buffers[used->head], used->written);
      Control message{};
      std::memcpy(&message.port, bytes.data(), 4);
      std::memcpy(&message.event, bytes.data() + 4, 2);
      std::memcpy(&message.value, bytes.data() + 6, 2);
      message.extra.assign(bytes.begin() + 8, bytes.end());
      messages.push_back(message);
    }
    return messages;
  }
  // As Linux: device ready, each port ready, each port opened.
  void bring_up() {
    ASSERT_TRUE(driver->initialize());
    post_control_buffers();
    send_control(0xffffffff, kDeviceReady, 1);
    for (uint32_t port = 0; port < 2; ++port) send_control(port, kPortReady, 1);
    receive_control();
    for (uint32_t port = 0; port < 2; ++port) send_control(port, kPortOpen, 1);
  }
  void post_input_buffer(uint16_t queue, uint32_t bytes = 256) {
    const auto buffer = driver->allocate(bytes);
    input_buffers[{queue, *driver->queue(queue).add(std::vector<Buffer>{{buffer, bytes, true}})}] = buffer;
    driver->kick(queue);
  }
  std::string receive(uint16_t queue) {
    driver->settle();
    std::string text;
    while (const auto used = driver->queue(queue).take_used()) {
      const auto bytes = driver->bytes(input_buffers[{queue, used->head}], used->written);
      text.append(bytes.begin(), bytes.end());
    }
    return text;
  }
  void send(uint16_t queue, std::string_view text) {
    const auto at = driver->place(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    ASSERT_TRUE(driver->queue(queue).add(std::vector<Buffer>{{at, static_cast<uint32_t>(text.size()), false}}));
    driver->kick(queue);
    driver->settle();
  }

  GuestMemory memory;
  FakeIrq irq;
  UniqueFd terminal;
  UniqueFd data;
  ConsoleDevice* device = nullptr;
  std::unique_ptr<MmioTransport> transport;
  std::unique_ptr<FakeDriver> driver;
  std::map<uint16_t, GuestPhysAddr> control_buffers;
  std::map<std::pair<uint16_t, uint16_t>, GuestPhysAddr> input_buffers;
};

TEST_F(ConsoleTest, TellsSizeAndPorts) {
  EXPECT_EQ(driver->config<uint16_t>(0), 100);
  EXPECT_EQ(driver->config<uint16_t>(2), 40);
  EXPECT_EQ(driver->config<uint32_t>(4), 2u);
  EXPECT_EQ(transport->queue_count(), 6u);
}

TEST_F(ConsoleTest, AnnouncesItsPorts) {
  ASSERT_TRUE(driver->initialize());
  post_control_buffers();
  send_control(0xffffffff, kDeviceReady, 1);
  EXPECT_EQ(receive_control(), (std::vector<Control>{{0, kPortAdd, 1, ""}, {1, kPortAdd, 1, ""}}));
  send_control(0, kPortReady, 1);
  EXPECT_EQ(
      receive_control(),
      (std::vector<Control>{{0, kConsolePort, 1, ""}, {0, kResize, 0, std::string("\x64\0\x28\0", 4)}, {0, kPortOpen, 1, ""}}));
  send_control(1, kPortReady, 1);
  EXPECT_EQ(receive_control(), (std::vector<Control>{{1, kPortName, 1, "data"}, {1, kPortOpen, 1, ""}}));
}

TEST_F(ConsoleTest, MovesBytesOfEveryPort) {
  bring_up();
  send(1, "to the terminal");
  send(5, "to the port");
  EXPECT_EQ(read_now(terminal.get()), "to the terminal");
  EXPECT_EQ(read_now(data.get()), "to the port");
  post_input_buffer(0);
  post_input_buffer(4);
  ASSERT_EQ(::write(terminal.get(), "typed", 5), 5);
  ASSERT_EQ(::write(data.get(), "fed", 3), 3);
  EXPECT_EQ(receive(0), "typed");
  EXPECT_EQ(receive(4), "fed");
}

TEST_F(ConsoleTest, ADriverWithoutMultiportHasPortZero) {
  ASSERT_TRUE(driver->initialize(~kMultiport));
  send(1, "plain");
  EXPECT_EQ(read_now(terminal.get()), "plain");
  post_input_buffer(0);
  ASSERT_EQ(::write(terminal.get(), "typed", 5), 5);
  EXPECT_EQ(receive(0), "typed");
}

TEST_F(ConsoleTest, InputWaitsForBuffersAndForTheGuestToOpenThePort) {
  ASSERT_TRUE(driver->initialize());
  post_control_buffers();
  ASSERT_EQ(::write(data.get(), "abcdef", 6), 6);
  post_input_buffer(4, 4);
  EXPECT_EQ(receive(4), "");
  send_control(1, kPortReady, 1);
  send_control(1, kPortOpen, 1);
  EXPECT_EQ(receive(4), "abcd");
  EXPECT_EQ(receive(4), "");
  post_input_buffer(4, 4);
  EXPECT_EQ(receive(4), "ef");
  send_control(1, kPortOpen, 0);
  post_input_buffer(4, 4);
  ASSERT_EQ(::write(data.get(), "gh", 2), 2);
  EXPECT_EQ(receive(4), "");
}

TEST_F(ConsoleTest, AFullDescriptorMakesTheGuestWait) {
  bring_up();
  const std::string block(8192, 'x');
  size_t sent = 0;
  while (driver->queue(5).free_descriptors() > 0) {
    send(5, block);
    sent += block.size();
    ASSERT_LT(sent, size_t{16} << 20);
  }
  EXPECT_GT(driver->queue(5).size, 100);
  std::string all;
  for (int turns = 0; turns < 200 && all.size() < sent; ++turns) {
    all += read_now(data.get());
    driver->settle();
  }
  EXPECT_EQ(all.size(), sent);
  while (driver->queue(5).take_used()) {}
  EXPECT_EQ(driver->queue(5).free_descriptors(), driver->queue(5).size);
}

TEST_F(ConsoleTest, AReaderThatWentAwayDoesNotStopTheGuest) {
  ::signal(SIGPIPE, SIG_IGN);
  bring_up();
  data.reset();
  for (int i = 0; i < 300; ++i) {
    send(5, "into the void");
    ASSERT_TRUE(driver->queue(5).take_used()) << i;
  }
  ::signal(SIGPIPE, SIG_DFL);
}

TEST_F(ConsoleTest, TheEndOfAPortsInputIsAnnounced) {
  bring_up();
  post_input_buffer(4);
  ::shutdown(data.get(), SHUT_WR);
  EXPECT_EQ(receive_control(), (std::vector<Control>{{1, kPortOpen, 0, ""}}));
  post_input_buffer(0);
  ::shutdown(terminal.get(), SHUT_WR);  // a terminal stays
  EXPECT_TRUE(receive_control().empty());
  send(1, "still writable");
  EXPECT_EQ(read_now(terminal.get()), "still writable");
}

TEST_F(ConsoleTest, AnnouncesANewSize) {
  bring_up();
  driver->acknowledge();
  device->resize({.columns = 132, .rows = 50});
  EXPECT_EQ(receive_control(), (std::vector<Control>{{0, kResize, 0, std::string("\x84\0\x32\0", 4)}}));
  EXPECT_TRUE(driver->acknowledge() & kInterruptConfigChange);
  EXPECT_EQ(driver->config<uint16_t>(0), 132);
  EXPECT_EQ(driver->config<uint16_t>(2), 50);
}

TEST_F(ConsoleTest, OlderLinuxGetsTheRowsFirst) {
  std::vector<ConsoleDevice::Port> ports(2);
  ports[0].console = true;
  open(std::move(ports), ResizeOrder::kRowsFirst);
  ASSERT_TRUE(driver->initialize());
  post_control_buffers();
  send_control(0, kPortReady, 1);
  const auto messages = receive_control();
  ASSERT_GE(messages.size(), 2u);
  EXPECT_EQ(messages[1], (Control{0, kResize, 0, std::string("\x28\0\x64\0", 4)}));
}

TEST_F(ConsoleTest, WritesToASinkOrAFile) {
  std::string seen;
  const UniqueFd file(::memfd_create("log", MFD_CLOEXEC));
  std::vector<ConsoleDevice::Port> ports(2);
  ports[0].sink = [&](std::span<const uint8_t> bytes) { seen.append(bytes.begin(), bytes.end()); };
  ports[1].output = UniqueFd(::dup(file.get()));
  open(std::move(ports));
  bring_up();
  send(1, "to the sink");
  send(5, std::string(10'000, 'f'));
  EXPECT_EQ(seen, "to the sink");
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 10'000);
}

TEST_F(ConsoleTest, ReadsAFileToItsEnd) {
  UniqueFd file(::memfd_create("script", MFD_CLOEXEC));
  ASSERT_EQ(::write(file.get(), "line\n", 5), 5);
  ::lseek(file.get(), 0, SEEK_SET);
  std::vector<ConsoleDevice::Port> ports(1);
  ports[0].input = std::move(file);
  open(std::move(ports));
  ASSERT_TRUE(driver->initialize(~kMultiport));
  post_input_buffer(0);
  post_input_buffer(0);
  EXPECT_EQ(receive(0), "line\n");
}

TEST_F(ConsoleTest, AnEmergencyCharacterNeedsNoQueue) {
  for (const char c : std::string_view("panic")) driver->write32(reg::kConfig + 8, static_cast<uint8_t>(c));
  driver->settle();
  EXPECT_EQ(read_now(terminal.get()), "panic");
}

TEST_F(ConsoleTest, AResetStartsOver) {
  bring_up();
  post_input_buffer(4);
  driver->reset();
  ASSERT_EQ(::write(data.get(), "later", 5), 5);
  driver->settle();
  bring_up();
  input_buffers.clear();
  post_input_buffer(4);
  EXPECT_EQ(receive(4), "later");
}

TEST_F(ConsoleTest, AGuestThatOnlyAsksIsNotListenedToForEver) {
  ASSERT_TRUE(driver->initialize());
  struct {
    uint32_t port = 0;
    uint16_t event = kDeviceReady, value = 1;
  } message;
  const auto at = driver->place(std::span(reinterpret_cast<const uint8_t*>(&message), sizeof(message)));
  size_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!driver->queue(3).add(std::vector<Buffer>{{at, sizeof(message), false}})) break;
    driver->kick(3);
    driver->settle();
    while (driver->queue(3).take_used()) ++taken;
  }
  EXPECT_LT(taken, 100u);
  post_control_buffers();
  EXPECT_FALSE(receive_control().empty());
}

TEST_F(ConsoleTest, SurvivesStrangeControlMessages) {
  bring_up();
  for (const uint32_t port : {0u, 1u, 2u, 31u, 0xffffffffu}) {
    for (uint16_t event = 0; event < 10; ++event) {
      for (const uint16_t value : {0, 1, 2}) {
        send_control(port, event, value);
        for (const auto& message : receive_control()) EXPECT_LT(message.port, 2u);
      }
    }
    driver->reset();
    bring_up();
  }
  const auto stub = driver->allocate(7);
  driver->queue(3).add(std::vector<Buffer>{{stub, 7, false}});
  driver->kick(3);
  driver->settle();
  EXPECT_TRUE(driver->queue(3).take_used());
  EXPECT_FALSE(driver->needs_reset());
}

TEST(ConsoleDeviceCreate, RefusesNoneAndTooManyPorts) {
  EXPECT_FALSE(ConsoleDevice::create({}, {}));
  EXPECT_FALSE(ConsoleDevice::create(std::vector<ConsoleDevice::Port>(33), {}));
}

}  // namespace
}  // namespace adyton::vmm::virtio
