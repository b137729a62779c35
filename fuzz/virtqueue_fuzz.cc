// A virtqueue whose rings and descriptors are the input.
#include <vector>

#include "fuzz/fuzz_input.h"
#include "vmm/virtio/spec.h"
#include "vmm/virtio/virtqueue.h"

using namespace adyton;
using fuzz::FuzzInput;
using fuzz::require;

namespace {

constexpr GuestPhysAddr kRam = 0x40000000;
constexpr uint64_t kRamSize = 0x20000;
constexpr uint16_t kSize = 8;
constexpr vmm::virtio::VirtqueueLayout kLayout{.size = kSize, .descriptors = kRam, .avail = kRam + 0x100, .used = kRam + 0x200};

void check(std::span<const iovec> segments, uint32_t total, std::span<const uint8_t> ram) {
  uint64_t sum = 0;
  for (const iovec& segment : segments) {
    const auto* start = static_cast<const uint8_t*>(segment.iov_base);
    require(segment.iov_len > 0 && start >= ram.data() && start + segment.iov_len <= ram.data() + ram.size());
    sum += segment.iov_len;
  }
  require(sum == total && segments.size() <= vmm::virtio::Chain::kMaxSegments);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  GuestMemory memory;
  if (!memory.add_ram(kRam, kRamSize)) return 0;
  const auto ram = memory.slice(kRam, kRamSize);
  int faults = 0;
  vmm::virtio::Virtqueue queue;
  vmm::virtio::VirtqueueLayout layout = kLayout;
  const uint8_t features = input.take();
  layout.event_idx = features & 1;
  layout.indirect = features & 2;
  require(queue.enable(memory, layout, [&faults](std::string_view) { ++faults; }).has_value());
  vmm::virtio::Chain chain;
  uint16_t avail_index = 0;
  while (!input.empty()) {
    switch (input.below(8)) {
      case 0:
      case 1: {  // a descriptor, of the ring or of a table in the pages behind it
        const uint64_t at = input.below(4) ? 16 * input.below(kSize) : 0x1000 + 16 * input.below(64);
        const uint64_t address = input.below(8) ? kRam + input.below(kRamSize + 16) : input.take<uint64_t>();
        const uint32_t length = input.below(8) ? static_cast<uint32_t>(16 * input.below(256)) : input.take<uint32_t>();
        const uint16_t flags = static_cast<uint16_t>(input.below(8));
        const uint16_t next = static_cast<uint16_t>(input.below(kSize + 1));
        std::memcpy(ram.data() + at, &address, 8);
        std::memcpy(ram.data() + at + 8, &length, 4);
        std::memcpy(ram.data() + at + 12, &flags, 2);
        std::memcpy(ram.data() + at + 14, &next, 2);
        break;
      }
      case 2: {  // a chain is offered
        const uint16_t head = static_cast<uint16_t>(input.below(kSize + 1));
        std::memcpy(ram.data() + 0x100 + 4 + 2 * (avail_index % kSize), &head, 2);
        ++avail_index;
        std::memcpy(ram.data() + 0x102, &avail_index, 2);
        break;
      }
      case 3: {  // any bytes anywhere
        const auto bytes = input.take_bytes(input.below(32));
        const size_t at = input.below(kRamSize - 32);
        std::memcpy(ram.data() + at, bytes.data(), bytes.size());
        break;
      }
      case 4:
        for (int count = 0; queue.pop(chain); ++count) {
          require(count < 65536);
          check(chain.readable(), chain.readable_bytes(), ram);
          check(chain.writable(), chain.writable_bytes(), ram);
          if (input.below(4) == 0) break;
          queue.push(chain, input.take<uint32_t>());
        }
        break;
      case 5:
        if (queue.pop(chain)) queue.rewind(1);
        break;
      case 6: queue.should_interrupt(); break;
      case 7:
        queue.disable_doorbells();
        static_cast<void>(queue.enable_doorbells());
        break;
    }
    require(faults <= 1 && queue.enabled() == (faults == 0));
  }
  return 0;
}
