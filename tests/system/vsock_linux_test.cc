// Our vsock device with the driver of a stock Linux kernel, in one process: seqpacket, more than a thousand connections both
// ways, a transport reset, and a port where nobody listens.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "adyton/virtual_machine_config.h"
#include "guest/image/cpio_writer.h"
#include "hypervisor/soft/soft_vm.h"
#include "sdk/prepare.h"
#include "tests/e2e/adyton.h"
#include "vmm/byte_source.h"
#include "vmm/machine.h"
#include "vmm/virtio/block.h"
#include "vmm/virtio/mmio_transport.h"
#include "vmm/virtio/rng.h"
#include "vmm/vsock/device.h"

namespace adyton::system_test {
namespace {

constexpr uint32_t kStreams = 7000;
constexpr uint32_t kHostStreams = 7001;
constexpr uint32_t kPackets = 7002;
constexpr uint32_t kHostPackets = 7003;
constexpr size_t kMessage = 256 * 1024;
constexpr int kPatience = 300'000;  // ms

// Waits, bounded, until something can be received, and receives it.
ssize_t receive(int fd, void* bytes, size_t size) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, kPatience) != 1) return -1;
  return ::recv(fd, bytes, size, 0);
}
bool receive_exactly(int fd, void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = receive(fd, static_cast<char*>(bytes) + done, size - done);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// A machine that runs vsock_guest.c.
class Guest {
 public:
  Guest() {
    if (auto made = boot(); !made) problem_ = made.error().message + "\n" + console();
  }
  ~Guest() { machine_.reset(); }

  vmm::vsock::Muxer& muxer() { return vsock_->muxer(); }
  void reset_transport() { vsock_->reset_transport(); }
  void say(const std::string& line) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(line.data());
    ASSERT_EQ(machine_->uart().receive({bytes, line.size()}), line.size());
  }
  // What the guest says next.
  std::string line() {
    if (!problem_.empty()) return problem_;
    constexpr std::string_view kMark = "vsock: ";
    std::unique_lock lock(mutex_);
    size_t begin = std::string::npos;
    size_t end = std::string::npos;
    const auto whole = [&] {
      begin = console_.find(kMark, heard_);
      end = begin == std::string::npos ? begin : console_.find('\n', begin);
      return end != std::string::npos;
    };
    if (!changed_.wait_for(lock, std::chrono::milliseconds(kPatience), whole)) return console_;
    heard_ = end;
    std::string text = console_.substr(begin + kMark.size(), end - begin - kMark.size());
    if (text.ends_with('\r')) text.pop_back();
    return text;
  }
  // The guest's next connection to a port of ours.
  UniqueFd accept(uint32_t port) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(kPatience), [&] { return !accepted_[port].empty(); });
    if (accepted_[port].empty()) return {};
    UniqueFd fd = std::move(accepted_[port].front());
    accepted_[port].erase(accepted_[port].begin());
    return fd;
  }
  std::string console() {
    const std::lock_guard lock(mutex_);
    return console_;
  }

 private:
  Result<void> boot() {
    VirtualMachineConfig::Builder builder;
    builder.setIsolation(IsolationLevel::kNone).setPayload(ADYTON_VSOCK_GUEST).setCpuCount(2).setMemoryBytes(512u << 20);
    const auto config = TRY(builder.build());
    auto files = sdk::prepare(config);
    if (!files) return std::unexpected(files.error().error);
    return assemble(*files);
  }

  // Our init's initramfs, with the test's program in its place: of two files with one name the kernel takes the later one.
  static Result<std::vector<uint8_t>> make_initrd(int ours) {
    std::vector<uint8_t> initrd;
    for (uint8_t buffer[65536];;) {
      const ssize_t got = ::read(ours, buffer, sizeof(buffer));
      if (got < 0) return fail_errno("read the initramfs");
      if (got == 0) break;
      initrd.insert(initrd.end(), buffer, buffer + got);
    }
    const std::string program = e2e::contents(ADYTON_VSOCK_GUEST);
    image::CpioWriter cpio;
    TRY(cpio.add_file("init", {reinterpret_cast<const uint8_t*>(program.data()), program.size()}, 0755));
    const auto more = TRY(cpio.finish());
    initrd.resize((initrd.size() + 3) / 4 * 4);
    initrd.insert(initrd.end(), more.begin(), more.end());
    return initrd;
  }

  Result<void> assemble(sdk::PreparedVm& files) {
    vmm::Pl011::Callbacks uart;
    uart.output = [this](std::span<const uint8_t> bytes) {
      const std::lock_guard lock(mutex_);
      console_.append(bytes.begin(), bytes.end());
      changed_.notify_all();
    };
    auto soft = TRY(hypervisor::soft::create_soft_vm());
    machine_ = TRY(vmm::Machine::create({.cpus = files.cpu_count, .memory_size = files.memory_bytes, .console = std::move(uart)},
                                        std::move(soft)));
    for (sdk::PreparedDisk& disk : files.disks) {
      auto device =
          TRY(vmm::virtio::BlockDevice::create(std::move(disk.image), {.read_only = !disk.writable, .serial = disk.serial}));
      TRY(add(std::move(device)));
    }
    TRY(add(std::make_unique<vmm::virtio::RngDevice>()));
    auto vsock = std::make_unique<vmm::vsock::VsockDevice>(3);
    vsock_ = vsock.get();
    TRY(add(std::move(vsock)));
    using vmm::vsock::PacketType;
    for (const uint32_t port : {kHostStreams, kHostPackets}) {
      const auto type = port == kHostPackets ? PacketType::kSeqpacket : PacketType::kStream;
      TRY(vsock_->muxer().listen(port, type, [this, port](UniqueFd fd) {
        const std::lock_guard lock(mutex_);
        accepted_[port].push_back(std::move(fd));
        changed_.notify_all();
      }));
    }
    const auto kernel = TRY(vmm::FileSource::open(files.kernel.get()));
    initrd_ = TRY(make_initrd(files.initrd.get()));
    const vmm::MemorySource initrd(initrd_);
    TRY(machine_->load(
        {.kernel = &kernel, .initrd = &initrd, .command_line = files.command_line + " console=ttyAMA0 loglevel=1"}));
    for (vmm::virtio::MmioTransport* transport : transports_) TRY(transport->start());
    return machine_->start();
  }

  Result<void> add(std::unique_ptr<vmm::virtio::Device> device) {
    const unsigned slot = TRY(machine_->add_virtio_slot());
    auto transport = TRY(vmm::virtio::MmioTransport::create(machine_->memory(), machine_->irq(slot), std::move(device)));
    for (size_t queue = 0; queue < transport->queue_count(); ++queue) {
      TRY(machine_->add_doorbell(slot, vmm::virtio::MmioTransport::kQueueNotifyOffset, static_cast<uint32_t>(queue),
                                 transport->doorbell_fd(queue)));
    }
    transports_.push_back(transport.get());
    return machine_->attach(slot, std::move(transport));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, std::vector<UniqueFd>> accepted_;
  std::string console_;
  std::string problem_;
  std::unique_ptr<vmm::Machine> machine_;
  std::vector<vmm::virtio::MmioTransport*> transports_;
  vmm::vsock::VsockDevice* vsock_ = nullptr;
  std::vector<uint8_t> initrd_;
  size_t heard_ = 0;  // of console_
};

std::string pattern(size_t size, size_t salt) {
  std::string text(size, '\0');
  for (size_t k = 0; k < size; ++k) text[k] = static_cast<char>(k * 31 + salt);
  return text;
}

class VsockLinux : public ::testing::Test {
 protected:
  // One boot for all.
  static void SetUpTestSuite() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    guest = std::make_unique<Guest>();
    ready = guest->line();
  }
  static void TearDownTestSuite() { guest.reset(); }
  void SetUp() override { ASSERT_EQ(ready, "ready"); }
  static std::unique_ptr<Guest> guest;
  static std::string ready;
};
std::unique_ptr<Guest> VsockLinux::guest;
std::string VsockLinux::ready;

TEST_F(VsockLinux, MessagesGoThereAndBackWhole) {
  guest->say("answer\n");
  const UniqueFd fd = guest->muxer().connect(kPackets, vmm::vsock::PacketType::kSeqpacket).value();
  std::string buffer(kMessage + 1, '\0');
  const size_t sizes[] = {1, 10, 4096, 5000, 65536, 65537, 200'000, kMessage, 3};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    const std::string message = pattern(sizes[i], i);
    ASSERT_EQ(::send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL), static_cast<ssize_t>(message.size()));
    ASSERT_EQ(receive(fd.get(), buffer.data(), buffer.size()), static_cast<ssize_t>(message.size()));
    ASSERT_TRUE(std::equal(message.begin(), message.end(), buffer.begin()));
  }
  EXPECT_LT(::send(fd.get(), buffer.data(), kMessage + 1, MSG_NOSIGNAL), 0);
  EXPECT_EQ(errno, EMSGSIZE);
  ::shutdown(fd.get(), SHUT_WR);
  EXPECT_EQ(guest->line(), "answered 9 messages");
}

TEST_F(VsockLinux, TheGuestConnectsAndSendsMessages) {
  guest->say("send\n");
  const UniqueFd fd = guest->accept(kHostPackets);
  ASSERT_TRUE(fd.valid());
  // Linux before 6.4 says ENOMEM.
  EXPECT_THAT(guest->line(), ::testing::AnyOf("sent messages, one more byte: EMSGSIZE", "sent messages, one more byte: ENOMEM"));
  std::string buffer(kMessage + 1, '\0');
  const size_t sizes[] = {1, 1000, 65536, kMessage, 5};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    ASSERT_EQ(receive(fd.get(), buffer.data(), buffer.size()), static_cast<ssize_t>(sizes[i]));
    ASSERT_TRUE(std::string_view(buffer).substr(0, sizes[i]) == pattern(sizes[i], i)) << i;
  }
  EXPECT_EQ(receive(fd.get(), buffer.data(), buffer.size()), 0);
}

TEST_F(VsockLinux, MoreThanAThousandConnectionsEachWayAtOnce) {
  constexpr int kCount = 1100;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 4 * kCount + 100) GTEST_SKIP() << "the hard limit of descriptors is " << limit.rlim_max;
  guest->say("many " + std::to_string(kCount) + "\n");
  std::vector<UniqueFd> fds;
  for (int i = 0; i < kCount; ++i) {
    fds.push_back(guest->accept(kHostStreams));
    ASSERT_TRUE(fds.back().valid()) << guest->line();
  }
  for (int i = 0; i < kCount; ++i) fds.push_back(guest->muxer().connect(kStreams).value());
  for (const UniqueFd& fd : fds) {
    uint32_t number = 0;
    ASSERT_TRUE(receive_exactly(fd.get(), &number, sizeof(number)));
    ++number;
    ASSERT_EQ(::send(fd.get(), &number, sizeof(number), MSG_NOSIGNAL), static_cast<ssize_t>(sizeof(number)));
  }
  EXPECT_EQ(guest->line(), "many done");
}

TEST_F(VsockLinux, ATransportResetEndsConnectionsAndKeepsListeners) {
  guest->say("reset\n");
  const UniqueFd fd = guest->accept(kHostStreams);
  ASSERT_EQ(guest->line(), "waiting");
  guest->reset_transport();
  // Linux tells a reader that waits ECONNRESET, and one that comes after the reset ENOTCONN.
  EXPECT_THAT(guest->line(), ::testing::AnyOf("connection: ECONNRESET", "connection: ENOTCONN"));
  char byte = 'x';
  EXPECT_EQ(receive(fd.get(), &byte, 1), 0);
  const UniqueFd again = guest->muxer().connect(kStreams).value();
  ASSERT_EQ(::send(again.get(), &byte, 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(guest->accept(kHostStreams).valid());
  EXPECT_EQ(guest->line(), "after it: both ways");
}

TEST_F(VsockLinux, APortWhereNobodyListensRefuses) {
  guest->say("refused\n");
  EXPECT_EQ(guest->line(), "port 9999: ECONNRESET");
}

}  // namespace
}  // namespace adyton::system_test
