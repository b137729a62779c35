// Advanced SIMD load/store of structures (Arm ARM C3.2.14, C4.1 "Advanced SIMD load/store multiple/single structure(s)").
#include <array>
#include <cstring>

#include "engine/interp/execute.h"
#include "engine/interp/load_store_groups.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

using arm64::Vector;

uint8_t* lane(Vector& vector, unsigned index, unsigned bytes) { return reinterpret_cast<uint8_t*>(&vector) + index * bytes; }

void write_back(CpuState& cpu, uint32_t insn, unsigned transferred) {
  // Rm = 31 stands for the number of bytes transferred.
  if (bit(insn, 23)) cpu.x[rn(insn)] += rm(insn) == 31 ? transferred : cpu.x[rm(insn)];
}

Outcome multiple_structures(CpuState& cpu, Environment& environment, uint32_t insn) {
  const bool quad = bit(insn, 30), load = bit(insn, 22);
  const unsigned size = field(insn, 11, 10);
  unsigned repeats = 1, structure = 1;  // rpt and selem of the pseudocode
  switch (field(insn, 15, 12)) {
    case 0b0000: structure = 4; break;
    case 0b0010: repeats = 4; break;
    case 0b0100: structure = 3; break;
    case 0b0110: repeats = 3; break;
    case 0b0111: break;
    case 0b1000: structure = 2; break;
    case 0b1010: repeats = 2; break;
    default: return undefined(cpu);
  }
  if (size == 3 && !quad && structure != 1) return undefined(cpu);
  if (!arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);

  const unsigned bytes = 1u << size, elements = (quad ? 16 : 8) / bytes, registers = repeats * structure;
  const auto reg = [&](unsigned n) { return (rt(insn) + n) % 32; };
  std::array<Vector, 4> loaded{};
  uint64_t address = cpu.x[rn(insn)];
  for (unsigned repeat = 0; repeat < repeats; repeat++) {
    for (unsigned element = 0; element < elements; element++) {
      for (unsigned member = 0; member < structure; member++, address += bytes) {
        const unsigned n = repeat + member;  // one of the two is always zero
        const Outcome outcome = load ? environment.read(address, bytes, {}, lane(loaded[n], element, bytes))
                                     : environment.write(address, bytes, {}, lane(cpu.v[reg(n)], element, bytes));
        if (outcome != Outcome::kDone) return outcome;
      }
    }
  }
  if (load) {
    for (unsigned n = 0; n < registers; n++) cpu.v[reg(n)] = loaded[n];
  }
  write_back(cpu, insn, registers * elements * bytes);
  return Outcome::kDone;
}

Outcome single_structure(CpuState& cpu, Environment& environment, uint32_t insn) {
  const bool quad = bit(insn, 30), load = bit(insn, 22), s = bit(insn, 12);
  const unsigned size = field(insn, 11, 10), structure = ((field(insn, 13, 13) << 1) | field(insn, 21, 21)) + 1;
  unsigned scale = field(insn, 15, 14), index = 0;
  bool replicate = false;
  switch (scale) {
    case 3:  // LD1R..LD4R
      if (!load || s) return undefined(cpu);
      scale = size;
      replicate = true;
      break;
    case 0: index = (quad ? 8 : 0) | (s ? 4 : 0) | size; break;
    case 1:
      if (size & 1) return undefined(cpu);
      index = (quad ? 4 : 0) | (s ? 2 : 0) | size >> 1;
      break;
    default:
      if (size & 2) return undefined(cpu);
      if (!(size & 1)) {
        index = (quad ? 2 : 0) | (s ? 1 : 0);
      } else {
        if (s) return undefined(cpu);
        index = quad ? 1 : 0;
        scale = 3;
      }
      break;
  }
  if (!arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);

  const unsigned bytes = 1u << scale;
  const auto reg = [&](unsigned n) { return (rt(insn) + n) % 32; };
  std::array<std::array<uint8_t, 8>, 4> loaded{};
  uint64_t address = cpu.x[rn(insn)];
  for (unsigned member = 0; member < structure; member++, address += bytes) {
    const Outcome outcome = load ? environment.read(address, bytes, {}, loaded[member].data())
                                 : environment.write(address, bytes, {}, lane(cpu.v[reg(member)], index, bytes));
    if (outcome != Outcome::kDone) return outcome;
  }
  if (load) {
    for (unsigned member = 0; member < structure; member++) {
      Vector& target = cpu.v[reg(member)];
      if (replicate) {
        target = {};
        for (unsigned i = 0; i < (quad ? 16 : 8) / bytes; i++) std::memcpy(lane(target, i, bytes), loaded[member].data(), bytes);
      } else {
        std::memcpy(lane(target, index, bytes), loaded[member].data(), bytes);  // the other lanes are kept
      }
    }
  }
  write_back(cpu, insn, structure * bytes);
  return Outcome::kDone;
}

}  // namespace

Outcome execute_vector_structures(CpuState& cpu, Environment& environment, uint32_t insn) {
  // Bits 31 and 29 are 0; without post-indexing (bit 23) the Rm field is 0, and bit 21 exists only for single structures.
  const bool single = bit(insn, 24), post_index = bit(insn, 23);
  if (bit(insn, 31) || (!post_index && rm(insn) != 0) || (!single && bit(insn, 21))) return undefined(cpu);
  return single ? single_structure(cpu, environment, insn) : multiple_structures(cpu, environment, insn);
}

}  // namespace adyton::engine::interp
