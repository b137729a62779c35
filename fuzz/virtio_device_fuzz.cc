// A device behind its registers: the input is a driver that writes to them and to its queues as it likes, and a host that does
// things in between. One program per device; ADYTON_FUZZ_<DEVICE> says which.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <csignal>
#include <memory>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/block.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/rng.h"
#include "vmm/virtio/testing/fake_driver.h"
#include "vmm/vsock/device.h"

using namespace adyton;
using namespace adyton::vmm;
using fuzz::FuzzInput;
using fuzz::require;

namespace {

constexpr GuestPhysAddr kRam = 0x40000000;
constexpr uint64_t kRamSize = 4 << 20;
constexpr uint64_t kArena = 0x10000;
constexpr int kMaxInitializations = 3;

// The device and the host's side of it.
struct Host {
  std::unique_ptr<virtio::Device> make();
  void act(FuzzInput& input);

  std::vector<UniqueFd> fds;
  vsock::VsockDevice* vsock = nullptr;
};

[[maybe_unused]] std::pair<UniqueFd, UniqueFd> make_pair() {
  int pair[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

std::unique_ptr<virtio::Device> Host::make() {
#if defined(ADYTON_FUZZ_RNG)
  return std::make_unique<virtio::RngDevice>(virtio::RngDevice::Options{.bytes_per_second = 10'000, .burst_bytes = 4096});
#elif defined(ADYTON_FUZZ_BALLOON)
  return std::make_unique<virtio::BalloonDevice>(uint64_t{1} << 20);
#elif defined(ADYTON_FUZZ_BLOCK)
  UniqueFd disk(::memfd_create("disk", MFD_CLOEXEC));
  require(::ftruncate(disk.get(), 64 << 10) == 0);
  return virtio::BlockDevice::create(std::move(disk), {.serial = "fuzz"}).value();
#elif defined(ADYTON_FUZZ_CONSOLE)
  std::vector<virtio::ConsoleDevice::Port> ports(2);
  for (auto& port : ports) {
    auto [ours, theirs] = make_pair();
    fds.push_back(std::move(ours));
    port.input = UniqueFd(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 0));
    port.output = std::move(theirs);
  }
  ports[0].console = true;
  ports[1].name = "port";
  return virtio::ConsoleDevice::create(std::move(ports), {}).value();
#elif defined(ADYTON_FUZZ_VSOCK)
  auto device = std::make_unique<vsock::VsockDevice>(
      3, vsock::Muxer::Limits{.max_connections = 16, .buffer_bytes = 4096, .max_replies = 8});
  vsock = device.get();
  return device;
#else
#error "say which device: ADYTON_FUZZ_BALLOON, _RNG, _BLOCK, _CONSOLE or _VSOCK"
#endif
}

void Host::act(FuzzInput& input) {
  if (vsock && input.below(2)) {
    if (fds.size() < 32) {
      if (auto fd = vsock->muxer().connect(static_cast<uint32_t>(input.below(4)))) fds.push_back(std::move(*fd));
    }
    return;
  }
  if (fds.empty()) return;
  UniqueFd& fd = fds[input.below(fds.size())];
  char buffer[4096] = {};
  switch (input.below(4)) {
    case 0: static_cast<void>(::send(fd.get(), buffer, input.below(sizeof(buffer)), MSG_DONTWAIT | MSG_NOSIGNAL)); break;
    case 1: static_cast<void>(::recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT)); break;
    case 2: ::shutdown(fd.get(), static_cast<int>(input.below(3))); break;
    case 3: fd.reset(); break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto ignored = ::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(ignored);
  FuzzInput input(data, size);
  GuestMemory memory;
  require(memory.add_ram(kRam, kRamSize).has_value());
  virtio::testing::FakeIrq irq;
  virtio::EventLoop::Clock::time_point time{};
  Host host;
  auto transport = virtio::MmioTransport::create(memory, irq, host.make(), {.now = [&time] { return time; }}).value();
  if (host.vsock) {
    require(host.vsock->muxer()
                .listen(1,
                        [&host](UniqueFd fd) {
                          if (host.fds.size() < 32) host.fds.push_back(std::move(fd));
                        })
                .has_value());
  }
  virtio::testing::FakeDriver driver(memory, *transport, kRam + kArena);
  int initializations = 1;
  require(driver.initialize());
  const auto ram = memory.slice(kRam, kRamSize);
  while (!input.empty()) {
    switch (input.below(12)) {
      case 0: driver.write32(4 * input.below(128), input.take<uint32_t>()); break;
      case 1: driver.write32(4 * input.below(128), static_cast<uint32_t>(input.below(16))); break;
      case 2: driver.read32(4 * input.below(128)); break;
      case 3:
      case 4:
      case 5: {  // a chain of up to four buffers with contents
        if (driver.queue_count() == 0) break;
        virtio::testing::FakeQueue& queue = driver.queue(input.below(driver.queue_count()));
        const size_t count = 1 + input.below(4);
        const auto first = static_cast<uint16_t>(input.below(queue.size));
        for (size_t i = 0; i < count; ++i) {
          const uint64_t offset = input.below(kArena);
          const uint32_t length = input.below(16) ? static_cast<uint32_t>(input.below(256)) : input.take<uint32_t>();
          const uint64_t address = input.below(16) ? kRam + offset : input.take<uint64_t>();
          auto flags = static_cast<uint16_t>(input.below(16) == 0 ? input.take() : input.below(2) * virtio::kDescWrite);
          if (i + 1 < count) flags |= virtio::kDescNext;
          const auto contents = input.take_bytes(input.below(64));
          std::memcpy(ram.data() + offset, contents.data(), contents.size());
          queue.write_descriptor(static_cast<uint16_t>((first + i) % queue.size), address, length, flags,
                                 static_cast<uint16_t>((first + i + 1) % queue.size));
        }
        queue.offer(first);
        break;
      }
      case 6:
      case 7:
        if (driver.queue_count() > 0) driver.kick_always(static_cast<uint16_t>(input.below(driver.queue_count())));
        driver.settle();
        break;
      case 8: {
        const auto bytes = input.take_bytes(input.below(64));
        std::memcpy(ram.data() + input.below(kRamSize - 64), bytes.data(), bytes.size());
        break;
      }
      case 9:
        time += std::chrono::milliseconds(input.below(20'000));
        driver.settle();
        break;
      case 10:
        host.act(input);
        driver.settle();
        break;
      case 11:
        if (initializations++ < kMaxInitializations) {
          require(driver.initialize());
        } else {
          driver.acknowledge();
        }
        break;
    }
  }
  driver.settle();
  driver.reset();
  require(!irq.level());
  return 0;
}
