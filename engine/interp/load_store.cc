// Loads and stores (Arm ARM C4.1, "Loads and Stores"; C3.2): the dispatch, and the forms that move one or two registers.
//
// CONSTRAINED UNPREDICTABLE cases, of which the manual lets us choose among several results (K1.2):
//   - load with write-back where the base is also a destination: the loaded value wins (write-back suppressed);
//   - store with write-back where the base is also a source: the original value is stored;
//   - load pair with Rt = Rt2: the second value wins.
#include <bit>

#include "engine/arm64/exception.h"
#include "engine/interp/execute.h"
#include "engine/interp/load_store_groups.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

// One register of a load or store: what moves between it and `size` bytes of memory.
struct Transfer {
  enum class Kind : uint8_t { kUndefined, kPrefetch, kStore, kLoad };
  Kind kind = Kind::kUndefined;
  bool vector = false;
  unsigned size = 0;         // bytes
  bool sign_extend = false;  // to 64 bits, or to 32 when !is64
  bool is64 = false;
};

// size:V:opc of the single-register forms.
Transfer decode_single(uint32_t insn) {
  const unsigned size = field(insn, 31, 30), opc = field(insn, 23, 22);
  if (bit(insn, 26)) {
    if (opc >= 2 && size != 0) return {};
    return {opc & 1 ? Transfer::Kind::kLoad : Transfer::Kind::kStore, true, opc >= 2 ? 16u : 1u << size, false, false};
  }
  switch (opc) {
    case 0: return {Transfer::Kind::kStore, false, 1u << size, false, true};
    case 1: return {Transfer::Kind::kLoad, false, 1u << size, false, true};
    case 2:
      if (size == 3) return {Transfer::Kind::kPrefetch, false, 8, false, false};
      return {Transfer::Kind::kLoad, false, 1u << size, true, true};
    default:
      if (size >= 2) return {};
      return {Transfer::Kind::kLoad, false, 1u << size, true, false};
  }
}

uint64_t extended(const Transfer& transfer, uint64_t raw) {
  if (!transfer.sign_extend) return raw;
  const auto value = static_cast<uint64_t>(sign_extend(raw, transfer.size * 8));
  return transfer.is64 ? value : static_cast<uint32_t>(value);
}

Outcome do_store(CpuState& cpu, Environment& environment, const Transfer& transfer, unsigned t, uint64_t address, Access access) {
  if (transfer.vector) return environment.write(address, transfer.size, access, &cpu.v[t]);
  const uint64_t value = read_x(cpu, t);
  return environment.write(address, transfer.size, access, &value);
}

struct Loaded {
  arm64::Vector data{};
};

Outcome do_load(Environment& environment, const Transfer& transfer, uint64_t address, Access access, Loaded& loaded) {
  return environment.read(address, transfer.size, access, &loaded.data);  // the bytes beyond `size` stay zero
}

void set_loaded(CpuState& cpu, const Transfer& transfer, unsigned t, const Loaded& loaded) {
  if (transfer.vector) {
    cpu.v[t] = loaded.data;
  } else {
    write_x(cpu, t, extended(transfer, loaded.data.d[0]));
  }
}

// The access of one register at `address`, then the write-back of `written_base` to Rn if asked.
Outcome transfer_one(CpuState& cpu, Environment& environment, uint32_t insn, const Transfer& transfer, uint64_t address,
                     Access access, bool write_back = false, uint64_t written_base = 0) {
  if (transfer.vector && !arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
  if (transfer.kind == Transfer::Kind::kPrefetch) return Outcome::kDone;  // a hint: no fault, no SP alignment check
  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);
  if (transfer.kind == Transfer::Kind::kStore) {
    const Outcome outcome = do_store(cpu, environment, transfer, rt(insn), address, access);
    if (outcome == Outcome::kDone && write_back) cpu.x[rn(insn)] = written_base;
    return outcome;
  }
  Loaded loaded;
  if (const Outcome outcome = do_load(environment, transfer, address, access, loaded); outcome != Outcome::kDone) return outcome;
  if (write_back) cpu.x[rn(insn)] = written_base;
  set_loaded(cpu, transfer, rt(insn), loaded);
  return Outcome::kDone;
}

// Load/store register with a 9-bit offset: unscaled, post-indexed, unprivileged, pre-indexed.
Outcome register_imm9(CpuState& cpu, Environment& environment, uint32_t insn) {
  const Transfer transfer = decode_single(insn);
  const unsigned form = field(insn, 11, 10);
  if (transfer.kind == Transfer::Kind::kUndefined) return undefined(cpu);
  if (form != 0 && transfer.kind == Transfer::Kind::kPrefetch) return undefined(cpu);
  const uint64_t base = cpu.x[rn(insn)];
  const uint64_t moved = base + static_cast<uint64_t>(sign_extend(field(insn, 20, 12), 9));
  switch (form) {
    case 0: return transfer_one(cpu, environment, insn, transfer, moved, {});
    case 1: return transfer_one(cpu, environment, insn, transfer, base, {}, true, moved);
    case 2:  // LDTR, STTR: as EL0 would, but for PSTATE.UAO
      if (transfer.vector) return undefined(cpu);
      return transfer_one(cpu, environment, insn, transfer, moved, {.unprivileged = cpu.el == 1 && !cpu.uao});
    default: return transfer_one(cpu, environment, insn, transfer, moved, {}, true, moved);
  }
}

Outcome register_offset(CpuState& cpu, Environment& environment, uint32_t insn) {
  const Transfer transfer = decode_single(insn);
  const unsigned option = field(insn, 15, 13);
  if (transfer.kind == Transfer::Kind::kUndefined || !(option & 2)) return undefined(cpu);
  const unsigned shift = bit(insn, 12) ? static_cast<unsigned>(std::countr_zero(transfer.size)) : 0;
  return transfer_one(cpu, environment, insn, transfer, cpu.x[rn(insn)] + extend_value(read_x(cpu, rm(insn)), option, shift), {});
}

Outcome register_unsigned(CpuState& cpu, Environment& environment, uint32_t insn) {
  const Transfer transfer = decode_single(insn);
  if (transfer.kind == Transfer::Kind::kUndefined) return undefined(cpu);
  const uint64_t offset = static_cast<uint64_t>(field(insn, 21, 10)) * transfer.size;
  return transfer_one(cpu, environment, insn, transfer, cpu.x[rn(insn)] + offset, {});
}

// LDAPUR, LDAPURS*, STLUR (FEAT_LRCPC2).
Outcome ordered_unscaled(CpuState& cpu, Environment& environment, uint32_t insn) {
  if (bit(insn, 26) || bit(insn, 21) || field(insn, 11, 10) != 0) return undefined(cpu);
  const Transfer transfer = decode_single(insn);
  if (transfer.kind != Transfer::Kind::kLoad && transfer.kind != Transfer::Kind::kStore) return undefined(cpu);
  const bool load = transfer.kind == Transfer::Kind::kLoad;
  const uint64_t address = cpu.x[rn(insn)] + static_cast<uint64_t>(sign_extend(field(insn, 20, 12), 9));
  return transfer_one(cpu, environment, insn, transfer, address, {.acquire = load, .release = !load});
}

Outcome load_literal(CpuState& cpu, Environment& environment, uint32_t insn) {
  const unsigned opc = field(insn, 31, 30);
  Transfer transfer{.kind = Transfer::Kind::kLoad, .is64 = true};
  if (bit(insn, 26)) {
    if (opc == 3) return undefined(cpu);
    if (!arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
    transfer.vector = true;
    transfer.size = 4u << opc;
  } else {
    if (opc == 3) return Outcome::kDone;  // PRFM
    transfer.size = opc == 1 ? 8 : 4;
    transfer.sign_extend = opc == 2;
  }
  const uint64_t address = cpu.pc + static_cast<uint64_t>(sign_extend(field(insn, 23, 5), 19)) * 4;
  Loaded loaded;
  if (const Outcome outcome = do_load(environment, transfer, address, {}, loaded); outcome != Outcome::kDone) return outcome;
  set_loaded(cpu, transfer, rt(insn), loaded);
  return Outcome::kDone;
}

// LDP, STP, LDNP, STNP, LDPSW: two accesses of the size of one register.
Outcome register_pair(CpuState& cpu, Environment& environment, uint32_t insn) {
  const unsigned opc = field(insn, 31, 30), form = field(insn, 24, 23), t2 = field(insn, 14, 10);
  const bool load = bit(insn, 22);
  Transfer transfer{.kind = load ? Transfer::Kind::kLoad : Transfer::Kind::kStore, .is64 = true};
  if (opc == 3) return undefined(cpu);
  if (bit(insn, 26)) {
    transfer.vector = true;
    transfer.size = 4u << opc;
  } else {
    // opc = 01: LDPSW, of which there is no store (that is STGP, FEAT_MTE) and no non-temporal form.
    if (opc == 1 && (!load || form == 0)) return undefined(cpu);
    transfer.size = opc == 2 ? 8 : 4;
    transfer.sign_extend = opc == 1;
  }
  if (transfer.vector && !arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);

  const uint64_t base = cpu.x[rn(insn)];
  const uint64_t moved = base + static_cast<uint64_t>(sign_extend(field(insn, 21, 15), 7)) * transfer.size;
  const uint64_t address = form == 1 ? base : moved;
  const bool write_back = form == 1 || form == 3;
  if (load) {
    Loaded first, second;
    if (const Outcome outcome = do_load(environment, transfer, address, {}, first); outcome != Outcome::kDone) return outcome;
    if (const Outcome outcome = do_load(environment, transfer, address + transfer.size, {}, second); outcome != Outcome::kDone)
      return outcome;
    if (write_back) cpu.x[rn(insn)] = moved;
    set_loaded(cpu, transfer, rt(insn), first);
    set_loaded(cpu, transfer, t2, second);
    return Outcome::kDone;
  }
  if (const Outcome outcome = do_store(cpu, environment, transfer, rt(insn), address, {}); outcome != Outcome::kDone)
    return outcome;
  if (const Outcome outcome = do_store(cpu, environment, transfer, t2, address + transfer.size, {}); outcome != Outcome::kDone)
    return outcome;
  if (write_back) cpu.x[rn(insn)] = moved;
  return Outcome::kDone;
}

}  // namespace

Outcome execute_load_store(CpuState& cpu, Environment& environment, uint32_t insn) {
  const bool vector = bit(insn, 26), upper = bit(insn, 24);
  switch (field(insn, 29, 28)) {
    case 0b00:
      if (vector) return execute_vector_structures(cpu, environment, insn);
      if (upper) return undefined(cpu);
      return execute_exclusive_ordered(cpu, environment, insn);
    case 0b01:
      if (upper) return ordered_unscaled(cpu, environment, insn);
      return load_literal(cpu, environment, insn);
    case 0b10: return register_pair(cpu, environment, insn);
    default:
      if (upper) return register_unsigned(cpu, environment, insn);
      if (!bit(insn, 21)) return register_imm9(cpu, environment, insn);
      switch (field(insn, 11, 10)) {
        case 0: return vector ? undefined(cpu) : execute_atomic_memory(cpu, environment, insn);
        case 2: return register_offset(cpu, environment, insn);
        default: return undefined(cpu);  // LDRAA, LDRAB: FEAT_PAuth
      }
  }
}

}  // namespace adyton::engine::interp
