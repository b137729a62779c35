#include "vmm/inspect/vcpu_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "vmm/inspect/kernel_log.h"
#include "vmm/inspect/kernel_symbols.h"

namespace adyton::vmm::inspect {
namespace {

constexpr uint64_t kPage = 4096;
constexpr unsigned kFramePointer = 29, kLink = 30, kStack = 31, kPc = 32, kPstate = 33;

struct NamedRegister {
  std::string_view name;
  uint64_t id;
};
constexpr NamedRegister kSystemRegisters[] = {{"ESR_EL1", hypervisor::reg_sysreg(3, 0, 5, 2, 0)},
                                              {"FAR_EL1", hypervisor::reg_sysreg(3, 0, 6, 0, 0)},
                                              {"ELR_EL1", hypervisor::kRegElrEl1},
                                              {"SPSR_EL1", hypervisor::kRegSpsrEl1},
                                              {"SP_EL0", hypervisor::kRegSp},
                                              {"SP_EL1", hypervisor::kRegSpEl1},
                                              {"SCTLR_EL1", hypervisor::reg_sysreg(3, 0, 1, 0, 0)},
                                              {"TCR_EL1", hypervisor::reg_sysreg(3, 0, 2, 0, 2)},
                                              {"TTBR0_EL1", hypervisor::reg_sysreg(3, 0, 2, 0, 0)},
                                              {"TTBR1_EL1", hypervisor::reg_sysreg(3, 0, 2, 0, 1)},
                                              {"VBAR_EL1", hypervisor::reg_sysreg(3, 0, 12, 0, 0)},
                                              {"TPIDR_EL1", hypervisor::reg_sysreg(3, 0, 13, 0, 4)}};

std::string with_name(uint64_t address, const std::map<uint64_t, Symbol>& symbols, uint64_t looked_up) {
  const auto found = symbols.find(looked_up);
  if (found == symbols.end()) return fmt::format("{:#018x}", address);
  return fmt::format("{:#018x} {}+{:#x}", address, found->second.name, found->second.offset + (address - looked_up));
}

// A return address may be the first byte behind its function: the call is before it.
uint64_t looked_up(size_t frame, uint64_t address) { return frame == 0 ? address : address - 4; }

std::string registers_text(hypervisor::Vcpu& vcpu, const CoreVcpu& state) {
  std::string text;
  for (unsigned n = 0; n <= kStack; ++n) {
    text +=
        fmt::format("  {:<4} {:016x}{}", n == kStack ? "sp" : fmt::format("x{}", n), state.general[n], n % 4 == 3 ? "\n" : "");
  }
  unsigned column = 0;
  for (const NamedRegister& reg : kSystemRegisters) {
    if (const auto value = vcpu.get_reg(reg.id))
      text += fmt::format("  {:<9} {:016x}{}", reg.name, *value, ++column % 4 == 0 ? "\n" : "");
  }
  if (column % 4 != 0) text += "\n";
  return text;
}

}  // namespace

CoreVcpu read_vcpu(hypervisor::Vcpu& vcpu) {
  CoreVcpu state;
  const auto value = [&](uint64_t id) { return vcpu.get_reg(id).value_or(0); };
  for (unsigned n = 0; n <= kLink; ++n) state.general[n] = value(hypervisor::reg_x(n));
  state.general[kPc] = value(hypervisor::kRegPc);
  state.general[kPstate] = value(hypervisor::kRegPstate);
  constexpr uint64_t kSpSel = 1, kMode = 0xc;
  const bool own = (state.general[kPstate] & kSpSel) && (state.general[kPstate] & kMode);
  state.general[kStack] = value(own ? hypervisor::kRegSpEl1 : hypervisor::kRegSp);
  for (unsigned n = 0; n < state.vector.size(); ++n) (void)vcpu.get_one_reg(hypervisor::reg_v(n), state.vector[n]);
  state.fpsr = static_cast<uint32_t>(value(hypervisor::kRegFpsr));
  state.fpcr = static_cast<uint32_t>(value(hypervisor::kRegFpcr));
  return state;
}

ReadVirtual virtual_memory(hypervisor::Vcpu& vcpu, const GuestMemory& memory) {
  return [&vcpu, &memory](uint64_t va, std::span<uint8_t> out) {
    while (!out.empty()) {
      const uint64_t here = std::min<uint64_t>(out.size(), kPage - va % kPage);
      const auto address = vcpu.translate(va);
      if (!address || !memory.read(*address, out.first(here))) return false;
      out = out.subspan(here);
      va += here;
    }
    return true;
  };
}

std::string describe_guest(const std::vector<hypervisor::Vcpu*>& vcpus, const std::vector<bool>& stands,
                           const GuestMemory& memory, size_t most) {
  const auto kernel = KernelInfo::find(memory);
  struct Seen {
    CoreVcpu state;
    std::vector<uint64_t> frames;
  };
  std::vector<std::optional<Seen>> seen(vcpus.size());
  std::vector<uint64_t> addresses;
  for (size_t n = 0; n < vcpus.size(); ++n) {
    if (!stands[n] || !vcpus[n]->powered_on()) continue;
    Seen& s = seen[n].emplace(Seen{read_vcpu(*vcpus[n]), {}});
    s.frames = backtrace(s.state.general[kPc], s.state.general[kFramePointer], virtual_memory(*vcpus[n], memory));
    for (size_t i = 0; i < s.frames.size(); ++i) addresses.push_back(looked_up(i, s.frames[i]));
    addresses.push_back(s.state.general[kLink]);
  }
  const auto symbols = kernel ? kernel_symbols(memory, *kernel, addresses) : std::map<uint64_t, Symbol>();

  std::string text;
  if (kernel) text += "Kernel: Linux " + std::string(kernel->release()) + "\n\n";
  for (size_t n = 0; n < vcpus.size() && text.size() < most / 2; ++n) {
    if (!seen[n]) {
      text += fmt::format("vCPU {}: {}\n\n", n, stands[n] ? "off" : "it did not stop, and nothing is known of it");
      continue;
    }
    const auto& [state, frames] = *seen[n];
    text += fmt::format("vCPU {}: EL{}, PSTATE {:#x}\n", n, (state.general[kPstate] >> 2) & 3, state.general[kPstate]);
    text += registers_text(*vcpus[n], state);
    text += fmt::format("  link register: {}\n  backtrace:\n", with_name(state.general[kLink], symbols, state.general[kLink]));
    for (size_t i = 0; i < frames.size(); ++i)
      text += fmt::format("    {}\n", with_name(frames[i], symbols, looked_up(i, frames[i])));
    text += "\n";
  }
  constexpr std::string_view kHeading = "Kernel log:\n";
  if (kernel && text.size() + kHeading.size() < most) {
    const std::string log = kernel_log(memory, *kernel, most - text.size() - kHeading.size());
    text += log.empty() ? "Kernel log: none was found\n" : std::string(kHeading) + log;
  } else if (!kernel) {
    text += "Kernel log: none, as the guest's memory holds no Linux kernel that describes itself (VMCOREINFO)\n";
  }
  if (text.size() > most) text.resize(most);
  return text;
}

}  // namespace adyton::vmm::inspect
