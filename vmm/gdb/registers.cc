#include "vmm/gdb/registers.h"

#include <fmt/format.h>

#include <array>

namespace adyton::vmm::gdb {
namespace {

using hypervisor::reg_sysreg;

struct SystemRegister {
  std::string_view name;
  uint64_t id;
};
constexpr SystemRegister kSystemRegisters[] = {
    {"SP_EL0", hypervisor::kRegSp},
    {"SP_EL1", hypervisor::kRegSpEl1},
    {"ELR_EL1", hypervisor::kRegElrEl1},
    {"SPSR_EL1", hypervisor::kRegSpsrEl1},
    {"MPIDR_EL1", reg_sysreg(3, 0, 0, 0, 5)},
    {"SCTLR_EL1", reg_sysreg(3, 0, 1, 0, 0)},
    {"CPACR_EL1", reg_sysreg(3, 0, 1, 0, 2)},
    {"TTBR0_EL1", reg_sysreg(3, 0, 2, 0, 0)},
    {"TTBR1_EL1", reg_sysreg(3, 0, 2, 0, 1)},
    {"TCR_EL1", reg_sysreg(3, 0, 2, 0, 2)},
    {"AFSR0_EL1", reg_sysreg(3, 0, 5, 1, 0)},
    {"AFSR1_EL1", reg_sysreg(3, 0, 5, 1, 1)},
    {"ESR_EL1", reg_sysreg(3, 0, 5, 2, 0)},
    {"FAR_EL1", reg_sysreg(3, 0, 6, 0, 0)},
    {"PAR_EL1", reg_sysreg(3, 0, 7, 4, 0)},
    {"MAIR_EL1", reg_sysreg(3, 0, 10, 2, 0)},
    {"AMAIR_EL1", reg_sysreg(3, 0, 10, 3, 0)},
    {"VBAR_EL1", reg_sysreg(3, 0, 12, 0, 0)},
    {"CONTEXTIDR_EL1", reg_sysreg(3, 0, 13, 0, 1)},
    {"TPIDR_EL1", reg_sysreg(3, 0, 13, 0, 4)},
    {"CNTKCTL_EL1", reg_sysreg(3, 0, 14, 1, 0)},
    {"CSSELR_EL1", reg_sysreg(3, 2, 0, 0, 0)},
    {"TPIDR_EL0", reg_sysreg(3, 3, 13, 0, 2)},
    {"TPIDRRO_EL0", reg_sysreg(3, 3, 13, 0, 3)},
    {"CNTP_CTL_EL0", reg_sysreg(3, 3, 14, 2, 1)},
    {"CNTP_CVAL_EL0", reg_sysreg(3, 3, 14, 2, 2)},
    {"CNTV_CTL_EL0", reg_sysreg(3, 3, 14, 3, 1)},
    {"CNTV_CVAL_EL0", reg_sysreg(3, 3, 14, 3, 2)},
    {"MDCCINT_EL1", reg_sysreg(2, 0, 0, 2, 0)},
    {"MDSCR_EL1", reg_sysreg(2, 0, 0, 2, 2)},
};

// Fields of PSTATE as SPSR shows them (Arm ARM C5.2.18): for gdb's printing.
constexpr std::string_view kCpsrType = R"(<flags id="cpsr_flags" size="4">
<field name="SP" start="0" end="0" type="bool"/><field name="EL" start="2" end="3" type="uint32"/><field name="nRW" start="4" end="4" type="bool"/>
<field name="F" start="6" end="6" type="bool"/><field name="I" start="7" end="7" type="bool"/><field name="A" start="8" end="8" type="bool"/>
<field name="D" start="9" end="9" type="bool"/><field name="IL" start="20" end="20" type="bool"/><field name="SS" start="21" end="21" type="bool"/>
<field name="PAN" start="22" end="22" type="bool"/><field name="UAO" start="23" end="23" type="bool"/><field name="DIT" start="24" end="24" type="bool"/>
<field name="V" start="28" end="28" type="bool"/><field name="C" start="29" end="29" type="bool"/><field name="Z" start="30" end="30" type="bool"/>
<field name="N" start="31" end="31" type="bool"/></flags>
)";

// Every way to look at a vector register.
std::string vector_types() {
  struct View {
    char letter;
    unsigned bits;
    std::array<std::string_view, 3> types;  // as a float where there is one, unsigned, signed
  };
  constexpr View kViews[] = {{'d', 64, {"ieee_double", "uint64", "int64"}}, {'s', 32, {"ieee_single", "uint32", "int32"}},
                             {'h', 16, {"ieee_half", "uint16", "int16"}},   {'b', 8, {"", "uint8", "int8"}},
                             {'q', 128, {"", "uint128", "int128"}}};
  constexpr char kForms[] = {'f', 'u', 's'};
  std::string xml, unions, whole;
  for (const View& view : kViews) {
    std::string fields;
    for (unsigned form = 0; form < 3; ++form) {
      if (view.types[form].empty()) continue;
      const std::string id = fmt::format("v{}{}", view.letter, kForms[form]);
      xml += fmt::format("<vector id=\"{}\" type=\"{}\" count=\"{}\"/>\n", id, view.types[form], 128 / view.bits);
      fields += fmt::format("<field name=\"{}\" type=\"{}\"/>", kForms[form], id);
    }
    unions += fmt::format("<union id=\"vn{}\">{}</union>\n", view.letter, fields);
    whole += fmt::format("<field name=\"{0}\" type=\"vn{0}\"/>", view.letter);
  }
  return xml + unions + "<union id=\"aarch64v\">" + whole + "</union>\n";
}

// SP is whichever stack pointer PSTATE selects.
uint64_t stack_pointer_id(hypervisor::Vcpu& vcpu) {
  constexpr uint64_t kSpSel = 1, kEl1 = 1 << 2;
  const uint64_t pstate = vcpu.get_reg(hypervisor::kRegPstate).value_or(0);
  return (pstate & kSpSel) && (pstate & kEl1) ? hypervisor::kRegSpEl1 : hypervisor::kRegSp;
}

}  // namespace

Registers::Registers(hypervisor::Vcpu& vcpu) {
  for (unsigned n = 0; n <= 30; ++n) registers_.push_back({fmt::format("x{}", n), hypervisor::reg_x(n), 8});
  registers_.push_back({"sp", hypervisor::kRegSp, 8});
  registers_.push_back({"pc", hypervisor::kRegPc, 8});
  registers_.push_back({"cpsr", hypervisor::kRegPstate, 4});
  for (unsigned n = 0; n <= 31; ++n) registers_.push_back({fmt::format("v{}", n), hypervisor::reg_v(n), 16});
  registers_.push_back({"fpsr", hypervisor::kRegFpsr, 4});
  registers_.push_back({"fpcr", hypervisor::kRegFpcr, 4});
  for (const SystemRegister& reg : kSystemRegisters) {
    if (vcpu.get_reg(reg.id)) registers_.push_back({std::string(reg.name), reg.id, 8});
  }

  std::string& xml = description_;
  xml = "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n<architecture>aarch64</architecture>\n";
  const auto add = [&](size_t from, size_t to, auto type, std::string_view group) {
    for (size_t n = from; n < to; ++n) {
      xml += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\"{} regnum=\"{}\"/>\n", registers_[n].name, registers_[n].bytes * 8, type(n), group, n);
    }
  };
  xml += "<feature name=\"org.gnu.gdb.aarch64.core\">\n";
  xml += kCpsrType;
  add(0, kFirstVector,
      [](size_t n) { return n == kSpNumber ? "data_ptr" : n == kPcNumber ? "code_ptr" : n == kCpsrNumber ? "cpsr_flags" : "int"; }, "");
  xml += "</feature>\n<feature name=\"org.gnu.gdb.aarch64.fpu\">\n" + vector_types();
  add(kFirstVector, kFirstVector + 32, [](size_t) { return "aarch64v"; }, "");
  add(kFirstVector + 32, kGeneralRegisters, [](size_t) { return "int"; }, " group=\"float\"");
  xml += "</feature>\n<feature name=\"org.adyton.gdb.aarch64.system\">\n";
  add(kGeneralRegisters, registers_.size(), [](size_t) { return "uint64"; }, " group=\"system\"");
  xml += "</feature>\n</target>\n";
}

std::optional<std::string> Registers::read(hypervisor::Vcpu& vcpu, unsigned number) const {
  if (number >= registers_.size()) return std::nullopt;
  const Register& reg = registers_[number];
  const uint64_t id = number == kSpNumber ? stack_pointer_id(vcpu) : reg.id;
  std::array<uint8_t, 16> bytes{};
  if (!vcpu.get_one_reg(id, std::span(bytes).first(hypervisor::register_size(id)))) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()), reg.bytes);
}

bool Registers::write(hypervisor::Vcpu& vcpu, unsigned number, std::string_view bytes) const {
  if (number >= registers_.size() || bytes.size() != registers_[number].bytes) return false;
  const uint64_t id = number == kSpNumber ? stack_pointer_id(vcpu) : registers_[number].id;
  std::array<uint8_t, 16> value{};
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return vcpu.set_one_reg(id, std::span<const uint8_t>(value).first(hypervisor::register_size(id))).has_value();
}

}  // namespace adyton::vmm::gdb
