#include "hypervisor/soft/registers.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "engine/arm64/sysreg.h"
#include "hypervisor/hypervisor.h"

namespace adyton::hypervisor::soft {
namespace {

using engine::arm64::CpuState;
using engine::arm64::sysreg_encoding;

struct SysregField {
  uint16_t encoding;
  uint16_t offset;  // in CpuState
  uint8_t size;     // 4 or 8
};

#define FIELD(op0, op1, crn, crm, op2, member)                            \
  SysregField {                                                           \
    sysreg_encoding(op0, op1, crn, crm, op2), offsetof(CpuState, member), \
        sizeof(CpuState::member) > 8 ? 8 : sizeof(CpuState::member)       \
  }
#define FIELD_EL1(op0, op1, crn, crm, op2, member)                                                      \
  SysregField {                                                                                         \
    sysreg_encoding(op0, op1, crn, crm, op2), offsetof(CpuState, member) + sizeof(CpuState::member[0]), \
        sizeof(CpuState::member[0])                                                                     \
  }

constexpr SysregField kFields[] = {
    FIELD(3, 0, 0, 0, 5, mpidr_el1),       FIELD_EL1(3, 0, 1, 0, 0, sctlr_el),       FIELD(3, 0, 1, 0, 2, cpacr_el1),
    FIELD_EL1(3, 0, 2, 0, 0, ttbr0_el),    FIELD(3, 0, 2, 0, 1, ttbr1_el1),          FIELD_EL1(3, 0, 2, 0, 2, tcr_el),
    FIELD_EL1(3, 0, 4, 0, 0, spsr_el),     FIELD_EL1(3, 0, 4, 0, 1, elr_el),         FIELD_EL1(3, 0, 5, 1, 0, afsr0_el),
    FIELD_EL1(3, 0, 5, 1, 1, afsr1_el),    FIELD_EL1(3, 0, 5, 2, 0, esr_el),         FIELD_EL1(3, 0, 6, 0, 0, far_el),
    FIELD(3, 0, 7, 4, 0, par_el1),         FIELD_EL1(3, 0, 10, 2, 0, mair_el),       FIELD_EL1(3, 0, 10, 3, 0, amair_el),
    FIELD_EL1(3, 0, 12, 0, 0, vbar_el),    FIELD_EL1(3, 0, 13, 0, 1, contextidr_el), FIELD_EL1(3, 0, 13, 0, 4, tpidr_el),
    FIELD_EL1(3, 0, 13, 0, 7, scxtnum_el), FIELD(3, 0, 14, 1, 0, cntkctl_el1),       FIELD(3, 2, 0, 0, 0, csselr_el1),
    FIELD(3, 3, 13, 0, 2, tpidr_el),                                           // TPIDR_EL0: element 0
    FIELD(3, 3, 13, 0, 3, tpidrro_el0),    FIELD(3, 3, 13, 0, 7, scxtnum_el),  // SCXTNUM_EL0: element 0
    FIELD(3, 3, 14, 2, 1, cntp_ctl),       FIELD(3, 3, 14, 2, 2, cntp_cval),         FIELD(3, 3, 14, 3, 1, cntv_ctl),
    FIELD(3, 3, 14, 3, 2, cntv_cval),      FIELD(2, 0, 0, 2, 0, mdccint_el1),        FIELD(2, 0, 0, 2, 2, mdscr_el1),
};
#undef FIELD
#undef FIELD_EL1

constexpr uint16_t kMpidr = sysreg_encoding(3, 0, 0, 0, 5);

std::unexpected<Error> no_such_register(uint64_t id) {
  return fail(ErrorCode::kNotFound, fmt::format("there is no register {:#x}", id));
}

// PSTATE in SPSR_EL1's layout (Arm ARM C5.2.18).
uint64_t pstate_of(const CpuState& s) {
  return uint64_t{s.nzcv()} << 28 | uint64_t{s.dit} << 24 | uint64_t{s.uao} << 23 | uint64_t{s.pan} << 22 | uint64_t{s.ss} << 21 |
         uint64_t{s.il} << 20 | s.daif | uint64_t{s.el} << 2 | s.sp_sel;
}

// Where the stack pointer of an exception level is now: x[31] holds the current one.
uint64_t& banked_sp(CpuState& s, unsigned el) {
  unsigned current = s.sp_sel ? s.el : 0;
  return el == current ? s.x[31] : s.sp_el[el];
}

void set_pstate(CpuState& s, uint64_t value) {
  unsigned before = s.sp_sel ? s.el : 0;
  s.sp_el[before] = s.x[31];
  s.set_nzcv(static_cast<uint32_t>(value >> 28) & 15);
  s.dit = value >> 24 & 1;
  s.uao = value >> 23 & 1;
  s.pan = value >> 22 & 1;
  s.ss = value >> 21 & 1;
  s.il = value >> 20 & 1;
  s.daif = static_cast<uint32_t>(value) &
           (engine::arm64::kDaifD | engine::arm64::kDaifA | engine::arm64::kDaifI | engine::arm64::kDaifF);
  s.el = value >> 2 & 3;
  s.sp_sel = value & 1;
  s.x[31] = s.sp_el[s.sp_sel ? s.el : 0];
}

// The bytes in CpuState that a register is, when it is plain storage.
std::span<uint8_t> storage(CpuState& s, uint64_t id) {
  auto bytes = [](auto& field) { return std::span(reinterpret_cast<uint8_t*>(&field), sizeof field); };
  for (unsigned n = 0; n < 31; ++n) {
    if (id == reg_x(n)) return bytes(s.x[n]);
  }
  for (unsigned n = 0; n < 32; ++n) {
    if (id == reg_v(n)) return bytes(s.v[n]);
  }
  if (id == kRegPc) return bytes(s.pc);
  if (id == kRegSp) return bytes(banked_sp(s, 0));
  if (id == kRegSpEl1) return bytes(banked_sp(s, 1));
  if (id == kRegElrEl1) return bytes(s.elr_el[1]);
  if (id == kRegFpsr) return bytes(s.fpsr);
  if (id == kRegFpcr) return bytes(s.fpcr);
  return {};
}

const SysregField* find_sysreg(uint64_t id) {
  if ((id & ~0xffffull) != (kRegArm64 | kRegSizeU64 | kRegArm64Sysreg)) return nullptr;
  for (const SysregField& field : kFields) {
    if (field.encoding == (id & 0xffff)) return &field;
  }
  return nullptr;
}

Result<void> check_size(uint64_t id, size_t size) {
  if (size == register_size(id)) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("register {:#x} has {} bytes, not {}", id, register_size(id), size));
}

}  // namespace

Result<void> read_register(const CpuState& state, uint64_t id, std::span<uint8_t> value) {
  TRY(check_size(id, value.size()));
  uint64_t number = 0;
  if (id == kRegPstate) {
    number = pstate_of(state);
  } else if (id == kRegSpsrEl1) {
    number = state.spsr_el[1];
  } else if (const SysregField* field = find_sysreg(id)) {
    std::memcpy(&number, reinterpret_cast<const uint8_t*>(&state) + field->offset, field->size);
  } else {
    auto bytes = storage(const_cast<CpuState&>(state), id);  // only read below
    if (bytes.size() != value.size()) return no_such_register(id);
    std::memcpy(value.data(), bytes.data(), value.size());
    return {};
  }
  std::memcpy(value.data(), &number, value.size());
  return {};
}

Result<void> write_register(CpuState& state, uint64_t id, std::span<const uint8_t> value) {
  TRY(check_size(id, value.size()));
  uint64_t number = 0;
  std::memcpy(&number, value.data(), value.size() < 8 ? value.size() : 8);
  if (id == kRegPstate) {
    // EL0 and EL1 only, AArch64 only.
    if ((number & 0x10) || (number & 15) > 5 || (number & 0xd) == 1) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("PSTATE {:#x} names a mode that this CPU does not have", number));
    }
    set_pstate(state, number);
  } else if (id == kRegSpsrEl1) {
    state.spsr_el[1] = static_cast<uint32_t>(number);
  } else if (const SysregField* field = find_sysreg(id)) {
    if (field->encoding == kMpidr && number != state.mpidr_el1) {
      return fail(ErrorCode::kInvalidArgument, "MPIDR_EL1 cannot be changed");
    }
    std::memcpy(reinterpret_cast<uint8_t*>(&state) + field->offset, &number, field->size);
  } else {
    auto bytes = storage(state, id);
    if (bytes.size() != value.size()) return no_such_register(id);
    std::memcpy(bytes.data(), value.data(), value.size());
  }
  return {};
}

}  // namespace adyton::hypervisor::soft
