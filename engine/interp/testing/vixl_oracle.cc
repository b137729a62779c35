#include "engine/interp/testing/vixl_oracle.h"

#include <aarch64/disasm-aarch64.h>
#include <aarch64/simulator-aarch64.h>

#include <cstdio>
#include <cstring>

namespace adyton::engine::interp::testing {
namespace {

using vixl::aarch64::Instruction;

// Everything but FEAT_LSE2, so that the simulator wants the alignment that we want.
vixl::CPUFeatures features() {
  vixl::CPUFeatures all = vixl::CPUFeatures::All();
  all.Remove(vixl::CPUFeatures::kUSCAT);
  return all;
}

// Undoes what VIXL 5.1 does wrong with a destination register.
void repair(vixl::aarch64::Simulator& simulator, uint32_t insn) {
  const auto zero_extend = [&](unsigned reg, uint64_t mask) {
    if (reg == 31) return;
    const uint64_t value = static_cast<uint64_t>(simulator.ReadXRegister(reg)) & mask;
    simulator.WriteRegister(reg, value, vixl::aarch64::Simulator::NoRegLog);
  };
  // MOVK (32-bit) sign-extends what it keeps; LDSMAX and LDSMIN of bytes and halfwords sign-extend what they load.
  if ((insn & 0xff800000) == 0x72800000) zero_extend(insn & 31, 0xffffffff);
  if ((insn & 0xbf20ec00) == 0x38204000) zero_extend(insn & 31, insn >> 30 ? 0xffff : 0xff);
}

struct Bits128 {
  uint64_t d[2];
};

}  // namespace

struct VixlOracle::Impl {
  explicit Impl(const FixedMemory& memory) : window(memory) {
    simulator.SetCPUFeatures(features());
    simulator.SilenceExclusiveAccessWarning();
  }
  const FixedMemory& window;
  vixl::aarch64::Decoder decoder;
  vixl::aarch64::Simulator simulator{&decoder, stderr};
};

VixlOracle::VixlOracle(const FixedMemory& window) : impl_(std::make_unique<Impl>(window)) {}
VixlOracle::~VixlOracle() = default;

void VixlOracle::run(std::span<const uint32_t> program, MachineState& state) {
  auto& simulator = impl_->simulator;
  using vixl::aarch64::Reg31IsStackPointer;
  using vixl::aarch64::Simulator;
  for (unsigned i = 0; i < 31; i++) simulator.WriteRegister(i, state.x[i], Simulator::NoRegLog);
  simulator.WriteRegister(31, state.sp, Simulator::NoRegLog, Reg31IsStackPointer);
  for (unsigned i = 0; i < 32; i++) simulator.WriteVRegister(i, Bits128{state.v[i].d[0], state.v[i].d[1]}, Simulator::NoRegLog);
  simulator.ReadNzcv().SetRawValue(state.nzcv << 28);
  simulator.ReadFpcr().SetRawValue(state.fpcr);
  simulator.ClearLocalMonitor();
  const auto& window = impl_->window;
  std::memcpy(window.bytes() + (kCodeAddress - kWindowAddress), program.data(), program.size_bytes());
  uint8_t* data = window.bytes() + (kDataAddress - kWindowAddress);
  std::memcpy(data, state.data.data(), kDataSize);

  simulator.WritePc(reinterpret_cast<const Instruction*>(state.pc), Simulator::NoBranchLog);
  const auto pc = [&] { return reinterpret_cast<uint64_t>(simulator.ReadPc()); };
  while (pc() - kCodeAddress < program.size_bytes()) {
    const uint32_t insn = program[(pc() - kCodeAddress) / 4];
    simulator.ExecuteInstruction();
    repair(simulator, insn);
  }

  for (unsigned i = 0; i < 31; i++) state.x[i] = static_cast<uint64_t>(simulator.ReadXRegister(i));
  state.sp = static_cast<uint64_t>(simulator.ReadXRegister(31, Reg31IsStackPointer));
  for (unsigned i = 0; i < 32; i++) {
    const auto value = simulator.ReadVRegister<Bits128>(i);
    state.v[i] = {{value.d[0], value.d[1]}};
  }
  state.pc = pc();
  state.nzcv = simulator.ReadNzcv().GetRawValue() >> 28;
  state.fpcr = simulator.ReadFpcr().GetRawValue();
  std::memcpy(state.data.data(), data, kDataSize);
}

bool vixl_is_wrong_about(uint32_t insn) {
  const unsigned rn = (insn >> 5) & 31;
  // Load/store structures, post-indexed: the write-back to SP is lost.
  return (insn & 0xbe800000) == 0x0c800000 && rn == 31;
}

std::string disassemble(uint32_t insn, uint64_t pc) {
  vixl::aarch64::Decoder decoder;
  char text[256];
  vixl::aarch64::Disassembler disassembler(text, sizeof text);
  decoder.AppendVisitor(&disassembler);
  disassembler.MapCodeAddress(static_cast<int64_t>(pc), reinterpret_cast<const Instruction*>(&insn));
  decoder.Decode(reinterpret_cast<const Instruction*>(&insn));
  return text;
}

bool is_allocated(uint32_t insn) {
  // Making a decoder costs far more than using it.
  struct Fixture {
    vixl::aarch64::Decoder decoder;
    char text[256];
    vixl::aarch64::Disassembler disassembler{text, sizeof text};
    Fixture() { decoder.AppendVisitor(&disassembler); }
  };
  static thread_local Fixture fixture;
  fixture.decoder.Decode(reinterpret_cast<const Instruction*>(&insn));
  return std::strncmp(fixture.text, "unallocated", 11) != 0 && std::strncmp(fixture.text, "unimplemented", 13) != 0;
}

}  // namespace adyton::engine::interp::testing
