#include "vmm/gdb/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace adyton::vmm::gdb {
namespace {

constexpr unsigned kMostWords = 256;

constexpr std::string_view kHelp =
    "help                     these lines\n"
    "info cpus                each vCPU, where it is, and whether it is on\n"
    "info registers           the general registers of this thread's vCPU\n"
    "info sysregs             its system registers\n"
    "info memory              the regions of guest memory\n"
    "pa ADDRESS               the physical address behind a virtual one, in this thread's address space\n"
    "xp[/COUNT] ADDRESS       COUNT 64-bit words at a physical address\n";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t begin = line.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) break;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(" \t\n"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

std::optional<uint64_t> number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

uint64_t low_word(const Registers& registers, hypervisor::Vcpu& vcpu, unsigned n) {
  uint64_t value = 0;
  const std::string bytes = registers.read(vcpu, n).value_or("");
  std::memcpy(&value, bytes.data(), std::min<size_t>(bytes.size(), 8));
  return value;
}

std::string registers_text(const Registers& registers, hypervisor::Vcpu& vcpu, size_t from, size_t to, int columns, int width) {
  std::string text;
  for (size_t n = from; n < to; ++n) {
    const bool last = (n - from) % static_cast<size_t>(columns) == static_cast<size_t>(columns) - 1 || n + 1 == to;
    text += fmt::format("{:<{}} {:016x}{}", registers.all()[n].name, width, low_word(registers, vcpu, static_cast<unsigned>(n)), last ? "\n" : "  ");
  }
  return text;
}

std::string cpus_text(Target& target) {
  std::string text;
  for (hypervisor::Vcpu* vcpu : target.vcpus()) {
    text += fmt::format("vCPU {}: {}, pc {:#x}\n", vcpu->index(), vcpu->powered_on() ? "on" : "off", vcpu->get_reg(hypervisor::kRegPc).value_or(0));
  }
  return text;
}

std::string words_text(Target& target, uint64_t address, unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) {
    const uint64_t at = address + 8ull * i;
    if (i % 2 == 0) text += fmt::format("{:016x}:", at);
    const auto word = target.memory().load<uint64_t>(at);
    if (!word) return text + " there is no memory\n";
    text += fmt::format(" {:#018x}", *word);
    if (i % 2 == 1 || i + 1 == count) text += "\n";
  }
  return text;
}

}  // namespace

std::string monitor_command(Target& target, const Registers& registers, unsigned current, std::string_view line) {
  const std::vector<std::string_view> words = words_of(line);
  hypervisor::Vcpu& vcpu = *target.vcpus()[current];
  const auto is = [&](std::string_view first, std::string_view second) { return words.size() == 2 && words[0] == first && words[1] == second; };
  if (words.empty() || (words.size() == 1 && words[0] == "help")) return std::string(kHelp);
  if (is("info", "cpus")) return cpus_text(target);
  if (is("info", "registers")) return registers_text(registers, vcpu, 0, kFirstVector, 4, 4);
  if (is("info", "sysregs")) return registers_text(registers, vcpu, kGeneralRegisters, registers.all().size(), 3, 14);
  if (is("info", "memory")) {
    std::string text;
    for (const GuestRegion& region : target.memory().regions()) {
      text += fmt::format("{:#x}-{:#x} {} MiB\n", region.base, region.base + region.size - 1, region.size >> 20);
    }
    return text;
  }
  if (words.size() == 2 && words[0] == "pa") {
    const auto va = number(words[1]);
    if (!va) return fmt::format("'{}' is not an address\n", words[1]);
    const auto pa = vcpu.translate(*va);
    return pa ? fmt::format("{:#x}\n", *pa) : fmt::format("nothing is mapped at {:#x}\n", *va);
  }
  if (words.size() == 2 && (words[0] == "xp" || words[0].starts_with("xp/"))) {
    const auto count = words[0] == "xp" ? std::optional<uint64_t>(1) : number(words[0].substr(3));
    const auto address = number(words[1]);
    if (!count || *count == 0 || *count > kMostWords) return fmt::format("a count is a number from 1 to {}\n", kMostWords);
    if (!address) return fmt::format("'{}' is not an address\n", words[1]);
    return words_text(target, *address, static_cast<unsigned>(*count));
  }
  return "there is no such command; 'monitor help' lists them\n";
}

}  // namespace adyton::vmm::gdb
