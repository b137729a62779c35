// What a hostile VMM leaves in the ring of a capture: indices and records of its choice, made into every kind of file.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/mapping.h"
#include "tools/capture/pcap_writer.h"
#include "tools/capture/pcapng_writer.h"
#include "tools/capture/recorder.h"
#include "tools/capture/text_writer.h"

namespace {

constexpr size_t kCapacity = 4096;

void record_all(std::span<const uint8_t> input, adyton::capture::Writer& writer, adyton::capture::Output& output) {
  using namespace adyton;
  const UniqueFd memory = observe::RecordRing::make_memory(kCapacity).value();
  auto ring = observe::RecordRing::map(memory.get()).value();
  const auto raw = Mapping::shared(memory.get(), 4096 + kCapacity, PROT_READ | PROT_WRITE).value();
  // The head is 8-byte-aligned and small mostly; the rest of the input is the data.
  uint64_t head = 0;
  std::memcpy(&head, input.data(), std::min<size_t>(input.size(), 2));
  if (head % 64 != 1) head = head % (kCapacity / 8 + 2) * 8;
  std::memcpy(raw.data(), &head, sizeof(head));
  if (input.size() > 2) std::memcpy(raw.data() + 4096, input.data() + 2, std::min(input.size() - 2, kCapacity));
  // Records that can be are reached too rarely by chance: their sizes and numbers are made possible.
  uint64_t sequence = 0;
  for (size_t at = 0; at + 24 <= kCapacity;) {
    uint32_t size = 0;
    std::memcpy(&size, raw.data() + 4096 + at, sizeof(size));
    if (size % 8 != 7) size %= 200;
    const uint32_t type = size % 16 == 15 ? size : 1;
    std::memcpy(raw.data() + 4096 + at, &size, sizeof(size));
    std::memcpy(raw.data() + 4096 + at + 4, &type, sizeof(type));
    std::memcpy(raw.data() + 4096 + at + 8, &sequence, sizeof(sequence));
    sequence += 1 + size % 3;
    at += (24 + size_t{size} + 7) & ~size_t{7};
  }
  auto wake = observe::make_wake_pair().value();
  wake.writer.reset();
  capture::Recorder recorder(writer, output, -1);
  recorder.add({.name = "vm", .ring = std::move(ring), .wake = std::move(wake.reader)});
  if (recorder.run({}) != capture::EndReason::kSourcesEnded) std::abort();
  if (recorder.received() > kCapacity / 24) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton;
  if (size < 3) return 0;
  capture::Output output(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)));
  const std::span input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0: {
      capture::PcapngWriter writer(output, "fuzz", 1 + data[0] * 8u);
      record_all(input, writer, output);
      break;
    }
    case 1: {
      const auto writer = capture::PcapWriter::create(output, 1 + data[0] * 8u).value();
      record_all(input, *writer, output);
      break;
    }
    default: {
      capture::TextWriter writer(output, {.verbose = true, .dump = true});
      record_all(input, writer, output);
    }
  }
  return 0;
}
