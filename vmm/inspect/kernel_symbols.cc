#include "vmm/inspect/kernel_symbols.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace adyton::vmm::inspect {
namespace {

constexpr uint32_t kMaxSymbols = 1 << 20;
constexpr uint64_t kMaxFunction = 1 << 20;  // bytes from a symbol on that are still its own
constexpr size_t kMaxName = 512, kMaxToken = 64;
constexpr unsigned kTokens = 256;

// Bytes of the kernel's image, one after the other.
class Bytes {
 public:
  Bytes(const GuestMemory& memory, const KernelInfo& kernel, uint64_t va) : memory_(memory), kernel_(kernel), va_(va) {}
  std::optional<uint8_t> next() {
    if (at_ == buffer_.size()) {
      buffer_.resize(4096);
      at_ = 0;
      while (!buffer_.empty() && !kernel_.read(memory_, va_, buffer_)) buffer_.resize(buffer_.size() / 2);
      va_ += buffer_.size();
      if (buffer_.empty()) return std::nullopt;
    }
    return buffer_[at_++];
  }

 private:
  const GuestMemory& memory_;
  const KernelInfo& kernel_;
  uint64_t va_;
  std::vector<uint8_t> buffer_;
  size_t at_ = 0;
};

// What each byte of a compressed name stands for.
std::vector<std::string> read_tokens(const GuestMemory& memory, const KernelInfo& kernel, uint64_t table, uint64_t index) {
  std::vector<std::string> tokens;
  for (unsigned i = 0; i < kTokens; ++i) {
    const auto offset = kernel.load<uint16_t>(memory, index + 2 * i);
    if (!offset) return {};
    std::string& token = tokens.emplace_back();
    for (uint64_t at = table + *offset; token.size() < kMaxToken; ++at) {
      const auto byte = kernel.load<char>(memory, at);
      if (!byte || *byte == '\0') break;
      token.push_back(*byte);
    }
  }
  return tokens;
}

// The symbols' addresses, in the order of the table; empty when they are not in ascending order.
std::vector<uint64_t> read_addresses(const GuestMemory& memory, const KernelInfo& kernel, uint32_t count) {
  const auto offsets = kernel.symbol("kallsyms_offsets");
  if (!offsets) return {};
  std::vector<uint32_t> raw(count);
  if (!kernel.read(memory, *offsets, std::span(reinterpret_cast<uint8_t*>(raw.data()), raw.size() * sizeof(uint32_t)))) return {};
  // Relative to one address, or (later kernels) each to its own place.
  std::optional<uint64_t> base;
  if (const auto pointer = kernel.symbol("kallsyms_relative_base")) base = kernel.load<uint64_t>(memory, *pointer);
  std::vector<uint64_t> addresses;
  addresses.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    addresses.push_back(base ? *base + raw[i]
                             : *offsets + 4ull * i + static_cast<uint64_t>(int64_t{static_cast<int32_t>(raw[i])}));
  }
  return std::ranges::is_sorted(addresses) ? addresses : std::vector<uint64_t>();
}

}  // namespace

std::map<uint64_t, Symbol> kernel_symbols(const GuestMemory& memory, const KernelInfo& kernel,
                                          std::span<const uint64_t> addresses) {
  const auto names = kernel.symbol("kallsyms_names"), table = kernel.symbol("kallsyms_token_table"),
             index = kernel.symbol("kallsyms_token_index"), count_at = kernel.symbol("kallsyms_num_syms");
  if (!names || !table || !index || !count_at) return {};
  const auto count = kernel.load<uint32_t>(memory, *count_at);
  if (!count || *count == 0 || *count > kMaxSymbols) return {};
  const std::vector<uint64_t> all = read_addresses(memory, kernel, *count);
  if (all.empty()) return {};

  std::multimap<size_t, uint64_t> wanted;  // number in the table -> address
  for (const uint64_t address : addresses) {
    const auto after = std::ranges::upper_bound(all, address);
    if (after == all.begin() || address - *std::prev(after) > kMaxFunction) continue;
    // Of several at one place the first one is the kernel's own choice.
    const auto first = std::ranges::lower_bound(all, *std::prev(after));
    wanted.emplace(static_cast<size_t>(first - all.begin()), address);
  }
  const std::vector<std::string> tokens =
      wanted.empty() ? std::vector<std::string>() : read_tokens(memory, kernel, *table, *index);
  if (tokens.size() != kTokens) return {};

  std::map<uint64_t, Symbol> symbols;
  Bytes bytes(memory, kernel, *names);
  auto next = wanted.begin();
  for (size_t i = 0; next != wanted.end(); ++i) {
    auto length = bytes.next();
    if (!length) break;
    size_t size = *length;
    if (size & 0x80) {  // two bytes, seven bits each
      length = bytes.next();
      if (!length) break;
      size = (size & 0x7f) | size_t{*length} << 7;
    }
    std::string name;
    for (; size > 0; --size) {
      const auto token = bytes.next();
      if (!token) return symbols;
      if (i == next->first && name.size() < kMaxName) name += tokens[*token];
    }
    if (i != next->first) continue;
    name.erase(0, 1);  // its type
    if (!std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; })) name.clear();
    for (; next != wanted.end() && next->first == i; ++next) {
      if (!name.empty()) symbols[next->second] = {name, next->second - all[i]};
    }
  }
  return symbols;
}

}  // namespace adyton::vmm::inspect
