#include "vmm/inspect/kernel_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace adyton::vmm::inspect {
namespace {

constexpr uint32_t kMaxCountBits = 20, kMaxSizeBits = 25;
constexpr unsigned kStateShift = 62;
constexpr uint64_t kIdMask = (1ull << kStateShift) - 1;
enum State : uint8_t { kReserved, kCommitted, kFinalized, kReusable };

// The ring as it lies in memory; addresses are the kernel's.
struct Ring {
  uint32_t count_bits = 0, size_bits = 0;
  uint64_t descriptors = 0, infos = 0, data = 0, head = 0;
  // Sizes and offsets of struct prb_desc, printk_info.
  uint64_t descriptor_size = 0, state = 0, begin = 0, next = 0, info_size = 0, time = 0, text_length = 0;
};

std::optional<Ring> find_ring(const GuestMemory& memory, const KernelInfo& kernel) {
  const auto pointer = kernel.symbol("prb");
  const auto ring_at = pointer ? kernel.load<uint64_t>(memory, *pointer) : std::nullopt;
  if (!ring_at) return std::nullopt;
  bool complete = true;
  const auto offset = [&](std::string_view name) {
    const auto value = kernel.offset(name);
    complete = complete && value && *value < 4096;
    return value.value_or(0);
  };
  const auto size = [&](std::string_view name) {
    const auto value = kernel.size(name);
    complete = complete && value && *value > 0 && *value < 4096;
    return value.value_or(0);
  };
  const uint64_t descriptors = *ring_at + offset("printk_ringbuffer.desc_ring");
  const uint64_t data = *ring_at + offset("printk_ringbuffer.text_data_ring");
  const uint64_t positions = offset("prb_desc.text_blk_lpos");
  Ring ring{.descriptor_size = size("prb_desc"),
            .state = offset("prb_desc.state_var"),
            .begin = positions + offset("prb_data_blk_lpos.begin"),
            .next = positions + offset("prb_data_blk_lpos.next"),
            .info_size = size("printk_info"),
            .time = offset("printk_info.ts_nsec"),
            .text_length = offset("printk_info.text_len")};
  const auto load = [&](uint64_t at, auto& into) {
    const auto value = kernel.load<std::remove_reference_t<decltype(into)>>(memory, at);
    complete = complete && value;
    into = value.value_or(0);
  };
  load(descriptors + offset("prb_desc_ring.count_bits"), ring.count_bits);
  load(descriptors + offset("prb_desc_ring.descs"), ring.descriptors);
  load(descriptors + offset("prb_desc_ring.infos"), ring.infos);
  load(descriptors + offset("prb_desc_ring.head_id"), ring.head);
  load(data + offset("prb_data_ring.size_bits"), ring.size_bits);
  load(data + offset("prb_data_ring.data"), ring.data);
  if (!complete || ring.count_bits > kMaxCountBits || ring.size_bits > kMaxSizeBits) return std::nullopt;
  return ring;
}

// The text of one record with the time before each of its lines; "" when it has none (any more).
std::string record(const GuestMemory& memory, const KernelInfo& kernel, const Ring& ring, uint64_t id) {
  const uint64_t index = id & ((1ull << ring.count_bits) - 1);
  const uint64_t descriptor = ring.descriptors + index * ring.descriptor_size, info = ring.infos + index * ring.info_size;
  const auto state = kernel.load<uint64_t>(memory, descriptor + ring.state);
  const auto begin = kernel.load<uint64_t>(memory, descriptor + ring.begin),
             next = kernel.load<uint64_t>(memory, descriptor + ring.next);
  const auto time = kernel.load<uint64_t>(memory, info + ring.time);
  const auto length = kernel.load<uint16_t>(memory, info + ring.text_length);
  if (!state || !begin || !next || !time || !length) return {};
  const uint64_t kind = *state >> kStateShift;
  if ((*state & kIdMask) != id || (kind != kCommitted && kind != kFinalized) || (*begin & 1)) return {};

  // A block is an id and the text; one that would go over the end stands at the beginning.
  const uint64_t size = 1ull << ring.size_bits, end = *next & (size - 1);
  const bool wrapped = (*begin >> ring.size_bits) != (*next >> ring.size_bits) && end != 0;
  const uint64_t from = wrapped ? 0 : *begin & (size - 1), to = end == 0 ? size : end;
  if (to < from + sizeof(uint64_t)) return {};
  std::string text(std::min<uint64_t>(*length, to - from - sizeof(uint64_t)), '\0');
  if (!kernel.read(memory, ring.data + from + sizeof(uint64_t), std::span(reinterpret_cast<uint8_t*>(text.data()), text.size())))
    return {};

  const std::string prefix = fmt::format("[{:5}.{:06}] ", *time / 1'000'000'000, *time / 1000 % 1'000'000);
  std::string lines;
  for (size_t at = 0; at < text.size();) {
    const size_t stop = std::min(text.find('\n', at), text.size());
    lines += prefix + text.substr(at, stop - at) + "\n";
    at = stop + 1;
  }
  return lines;
}

}  // namespace

std::string kernel_log(const GuestMemory& memory, const KernelInfo& kernel, size_t most) {
  const auto ring = find_ring(memory, kernel);
  if (!ring) return {};
  std::vector<std::string> records;  // the last one first
  size_t total = 0;
  for (uint64_t back = 0; back < 1ull << ring->count_bits; ++back) {
    std::string text = record(memory, kernel, *ring, (ring->head - back) & kIdMask);
    if (text.empty()) continue;
    total += text.size();
    if (total > most) break;
    records.push_back(std::move(text));
  }
  std::string log;
  for (auto it = records.rbegin(); it != records.rend(); ++it) log += *it;
  return log;
}

}  // namespace adyton::vmm::inspect
