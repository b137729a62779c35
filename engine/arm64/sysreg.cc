#include "engine/arm64/sysreg.h"

#include <array>
#include <cstdio>
#include <cstring>

#include "engine/arm64/debug.h"
#include "engine/arm64/exception.h"
#include "engine/arm64/id_registers.h"

namespace adyton::engine::arm64 {
namespace {

constexpr uint64_t kSctlrRes1 = 0x30400980;
// SPAN and TSCXT start as one, too: a kernel that knows neither sees the Armv8.0 behaviour.
constexpr uint64_t kSctlrReset = kSctlrRes1 | (1ull << 23) | (1ull << 20);
constexpr uint64_t kMpidrRes1 = 1ull << 31, kMpidrAffinity = 0xff00ffffffull;
constexpr uint64_t kOslsrImplemented = 1ull << 3;  // OSLM = 0b10
constexpr uint64_t kDaifMask = kDaifD | kDaifA | kDaifI | kDaifF;
constexpr uint64_t kTimerEnable = 1, kTimerMask = 2, kTimerStatus = 4;
constexpr uint64_t kClaimTags = 0xff;

enum class Effect : uint8_t { NONE, TRANSLATION, DEBUG, TIMER };

// Conditions under which an access that the exception level would allow is refused.
enum class Gate : uint8_t {
  NONE,
  UCT, UMA, TSCXT, TDCC, ANY_COUNTER, PHYSICAL_COUNTER, VIRTUAL_COUNTER, PHYSICAL_TIMER, VIRTUAL_TIMER,  // trap EL0
  SP0_CURRENT,  // SP_EL0 is UNDEFINED while it is the current stack pointer
};

SysRegResult check_gate(const CpuState& cpu, Gate gate) {
  const auto trap_unless = [](uint64_t allowed) { return allowed ? SysRegResult::kDone : SysRegResult::kTrapped; };
  switch (gate) {
    case Gate::NONE: return SysRegResult::kDone;
    case Gate::SP0_CURRENT: return cpu.sp_sel ? SysRegResult::kDone : SysRegResult::kUndefined;
    default: break;
  }
  if (cpu.el != 0) return SysRegResult::kDone;
  const uint64_t sctlr = cpu.sctlr_el[1], cntkctl = cpu.cntkctl_el1;
  switch (gate) {
    case Gate::UCT: return trap_unless(sctlr & (1ull << 15));
    case Gate::UMA: return trap_unless(sctlr & (1ull << 9));
    case Gate::TSCXT: return trap_unless(~sctlr & (1ull << 20));
    case Gate::TDCC: return trap_unless(~cpu.mdscr_el1 & (1ull << 12));
    case Gate::ANY_COUNTER: return trap_unless(cntkctl & 3);
    case Gate::PHYSICAL_COUNTER: return trap_unless(cntkctl & (1ull << 0));
    case Gate::VIRTUAL_COUNTER: return trap_unless(cntkctl & (1ull << 1));
    case Gate::VIRTUAL_TIMER: return trap_unless(cntkctl & (1ull << 8));
    case Gate::PHYSICAL_TIMER: return trap_unless(cntkctl & (1ull << 9));
    default: return SysRegResult::kDone;
  }
}

// --- Registers that are more than storage.

uint64_t read_zero(const CpuState&, SystemEffects&) { return 0; }
void write_ignored(CpuState&, SystemEffects&, uint64_t) {}

uint64_t read_mdscr(const CpuState& cpu, SystemEffects&) { return cpu.mdscr_el1; }
void write_mdscr(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  // SS, TDCC, KDE, MDE; the external debugger's bits (ERR, HDE, TDA, INTdis, TXU, RXO, TXfull, RXfull) only while the OS lock
  // saves them.
  const uint64_t writable = (cpu.oslsr_el1 & kOslsrLocked) ? 0x6ce0f041 : 0xb001;
  cpu.mdscr_el1 = (cpu.mdscr_el1 & ~writable) | (value & writable);
  effects.debug_changed();
}
void write_oslar(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.oslsr_el1 = kOslsrImplemented | ((value & 1) ? kOslsrLocked : 0);
  effects.debug_changed();
}
uint64_t read_oslsr(const CpuState& cpu, SystemEffects&) { return cpu.oslsr_el1; }
uint64_t read_claim_set(const CpuState&, SystemEffects&) { return kClaimTags; }
void write_claim_set(CpuState& cpu, SystemEffects&, uint64_t value) { cpu.dbgclaim_el1 |= value & kClaimTags; }
uint64_t read_claim_clear(const CpuState& cpu, SystemEffects&) { return cpu.dbgclaim_el1; }
void write_claim_clear(CpuState& cpu, SystemEffects&, uint64_t value) { cpu.dbgclaim_el1 &= ~value; }

uint64_t read_spsel(const CpuState& cpu, SystemEffects&) { return cpu.sp_sel; }
void write_spsel(CpuState& cpu, SystemEffects&, uint64_t value) { select_stack(cpu, cpu.el, value & 1); }
uint64_t read_current_el(const CpuState& cpu, SystemEffects&) { return static_cast<uint64_t>(cpu.el) << 2; }
uint64_t read_pan(const CpuState& cpu, SystemEffects&) { return static_cast<uint64_t>(cpu.pan) << 22; }
void write_pan(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.pan = (value >> 22) & 1;
  effects.translation_context_changed();
}
uint64_t read_uao(const CpuState& cpu, SystemEffects&) { return static_cast<uint64_t>(cpu.uao) << 23; }
void write_uao(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.uao = (value >> 23) & 1;
  effects.translation_context_changed();
}
uint64_t read_dit(const CpuState& cpu, SystemEffects&) { return static_cast<uint64_t>(cpu.dit) << 24; }
void write_dit(CpuState& cpu, SystemEffects&, uint64_t value) { cpu.dit = (value >> 24) & 1; }
uint64_t read_nzcv(const CpuState& cpu, SystemEffects&) { return static_cast<uint64_t>(cpu.nzcv()) << 28; }
void write_nzcv(CpuState& cpu, SystemEffects&, uint64_t value) { cpu.set_nzcv((value >> 28) & 15); }
uint64_t read_daif(const CpuState& cpu, SystemEffects&) { return cpu.daif & kDaifMask; }
void write_daif(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  const uint32_t before = cpu.daif;
  cpu.daif = static_cast<uint32_t>(value & kDaifMask);
  effects.interrupt_mask_changed();
  if (((before ^ cpu.daif) & kDaifD) && (cpu.mdscr_el1 & (kMdscrSs | kMdscrMde))) effects.debug_changed();
}
uint64_t read_isr(const CpuState&, SystemEffects& effects) { return effects.pending_interrupts() & 0x1c0; }

uint64_t read_fpcr(const CpuState& cpu, SystemEffects&) { return cpu.fpcr; }
void write_fpcr(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.fpcr = static_cast<uint32_t>(value & 0x07c00000);  // AHP, DN, FZ, RMode; no trapped exceptions, no FP16
  effects.fp_mode_changed();
}
uint64_t read_fpsr(const CpuState& cpu, SystemEffects&) { return cpu.fpsr; }
void write_fpsr(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.fpsr = static_cast<uint32_t>(value & 0x0800009f);  // QC, IDC, IXC, UFC, OFC, DZC, IOC
  effects.fp_mode_changed();
}

uint64_t read_ccsidr(const CpuState& cpu, SystemEffects&) {
  switch (cpu.csselr_el1) {  // Level in bits 3:1, InD in bit 0
    case 0:
    case 1: return id::kCcsidrL1;
    case 2: return id::kCcsidrL2;
    default: return 0;
  }
}
uint64_t read_dczid(const CpuState& cpu, SystemEffects&) {
  const bool prohibited = cpu.el == 0 && !(cpu.sctlr_el[1] & (1ull << 14));  // SCTLR_EL1.DZE
  return id::kDczid | (prohibited ? id::kDczidProhibited : 0);
}

uint64_t read_cntpct(const CpuState&, SystemEffects& effects) { return effects.physical_count(); }
uint64_t read_cntvct(const CpuState& cpu, SystemEffects& effects) { return effects.physical_count() - cpu.cntvoff; }
// Arm ARM D11.2.4: a timer's condition is met when the count has reached the compare value; both are unsigned.
uint64_t timer_control(uint32_t control, uint64_t count, uint64_t compare) {
  return control | ((control & kTimerEnable) && count >= compare ? kTimerStatus : 0);
}
uint64_t read_cntp_ctl(const CpuState& cpu, SystemEffects& effects) {
  return timer_control(cpu.cntp_ctl, effects.physical_count(), cpu.cntp_cval);
}
uint64_t read_cntv_ctl(const CpuState& cpu, SystemEffects& effects) {
  return timer_control(cpu.cntv_ctl, read_cntvct(cpu, effects), cpu.cntv_cval);
}
void write_cntp_ctl(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.cntp_ctl = static_cast<uint32_t>(value & (kTimerEnable | kTimerMask));
  effects.timer_changed();
}
void write_cntv_ctl(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.cntv_ctl = static_cast<uint32_t>(value & (kTimerEnable | kTimerMask));
  effects.timer_changed();
}
// TimerValue is the signed 32-bit distance to the compare value.
uint64_t sign_extend_word(uint64_t value) { return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value))); }
uint64_t read_cntp_tval(const CpuState& cpu, SystemEffects& effects) {
  return static_cast<uint32_t>(cpu.cntp_cval - effects.physical_count());
}
uint64_t read_cntv_tval(const CpuState& cpu, SystemEffects& effects) {
  return static_cast<uint32_t>(cpu.cntv_cval - read_cntvct(cpu, effects));
}
void write_cntp_tval(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.cntp_cval = effects.physical_count() + sign_extend_word(value);
  effects.timer_changed();
}
void write_cntv_tval(CpuState& cpu, SystemEffects& effects, uint64_t value) {
  cpu.cntv_cval = read_cntvct(cpu, effects) + sign_extend_word(value);
  effects.timer_changed();
}

// --- The table.

enum class Storage : uint8_t { kConstant, kField64, kField32, kComputed, kIcc };

using Reader = uint64_t (*)(const CpuState&, SystemEffects&);
using Writer = void (*)(CpuState&, SystemEffects&, uint64_t);

struct Row {
  const char* name;
  uint16_t encoding;
  uint8_t read_el, write_el;  // lowest exception level with that access
  Gate gate;
  Storage storage;
  Effect effect;
  uint32_t offset;
  uint64_t writable;
  uint64_t fixed;  // RES1 bits, or the value of a constant
  Reader read;
  Writer write;
};

constexpr uint8_t E0 = 0, E1 = 1, NO = 0xff;

template <size_t kSize>
constexpr Storage field_storage() {
  static_assert(kSize == 8 || kSize == 4);
  return kSize == 8 ? Storage::kField64 : Storage::kField32;
}

#define ENC(op0, op1, crn, crm, op2) sysreg_encoding(op0, op1, crn, crm, op2)
#define CONSTANT(name, encoding, gate, value)                                                                          \
  Row{#name, encoding, Gate::gate == Gate::NONE ? E1 : E0, NO, Gate::gate, Storage::kConstant, Effect::NONE, 0, 0, value, \
      nullptr, nullptr},
#define STORAGE(name, encoding, reader, writer, gate, field, writable, ones, effect)                                      \
  Row{#name, encoding, reader, writer, Gate::gate, field_storage<sizeof(CpuState{}.field)>(), Effect::effect,             \
      offsetof(CpuState, field), writable, ones, nullptr, nullptr},
#define COMPUTED(name, encoding, reader, writer, gate, read, write) \
  Row{#name, encoding, reader, writer, Gate::gate, Storage::kComputed, Effect::NONE, 0, 0, 0, read, write},
#define ICC(name, encoding, reader, writer) \
  Row{#name, encoding, reader, writer, Gate::NONE, Storage::kIcc, Effect::NONE, 0, 0, 0, nullptr, nullptr},
constexpr Row kRows[] = {
#include "engine/arm64/sysreg_table.inc"
};
#undef ENC
#undef CONSTANT
#undef STORAGE
#undef COMPUTED
#undef ICC

constexpr size_t kRowCount = sizeof(kRows) / sizeof(kRows[0]);
static_assert(kRowCount < 255);
static_assert([] {
  for (size_t i = 0; i < kRowCount; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (kRows[i].encoding == kRows[j].encoding) return false;
    }
  }
  return true;
}(), "each register has one row");

// Row number + 1 for each encoding with op0 = 2 or 3, or 0: one load finds a register. Of its 32 KiB only the lines in use are
// ever touched.
constexpr auto kIndex = [] {
  std::array<uint8_t, 0x8000> index{};
  for (size_t i = 0; i < kRowCount; ++i) index[kRows[i].encoding & 0x7fff] = static_cast<uint8_t>(i + 1);
  return index;
}();

const Row* find(uint16_t encoding) {
  if (!(encoding & 0x8000)) return nullptr;
  const uint8_t number = kIndex[encoding & 0x7fff];
  return number == 0 ? nullptr : &kRows[number - 1];
}

// Arm ARM D19.1: unallocated ID registers are RAZ, so that software can probe for features newer than the CPU.
bool in_id_space(uint16_t encoding) {
  return encoding >= sysreg_encoding(3, 0, 0, 0, 0) && encoding <= sysreg_encoding(3, 0, 0, 7, 7);
}

uint64_t load_field(const CpuState& cpu, const Row& row) {
  const char* at = reinterpret_cast<const char*>(&cpu) + row.offset;
  uint64_t value = 0;  // little-endian host: the low half is the 32-bit value
  std::memcpy(&value, at, row.storage == Storage::kField64 ? 8 : 4);
  return value;
}

void store_field(CpuState& cpu, const Row& row, uint64_t value) {
  value = (value & row.writable) | row.fixed;
  std::memcpy(reinterpret_cast<char*>(&cpu) + row.offset, &value, row.storage == Storage::kField64 ? 8 : 4);
}

void apply(Effect effect, SystemEffects& effects) {
  switch (effect) {
    case Effect::NONE: return;
    case Effect::TRANSLATION: effects.translation_context_changed(); return;
    case Effect::DEBUG: effects.debug_changed(); return;
    case Effect::TIMER: effects.timer_changed(); return;
  }
}

// Is `row` free of conditions for code that runs at `el`?
bool ungated(const Row& row, unsigned el, bool sp_elx) {
  switch (row.gate) {
    case Gate::NONE: return true;
    case Gate::SP0_CURRENT: return sp_elx;
    default: return el != 0;
  }
}

SysRegAccess storage_access(const Row& row) {
  SysRegAccess access;
  access.kind = row.storage == Storage::kField64 ? SysRegAccess::Kind::kStorage : SysRegAccess::Kind::kStorage32;
  access.offset = row.offset;
  return access;
}

}  // namespace

SysRegResult read_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t& value) {
  const Row* row = find(encoding);
  if (row == nullptr) {
    if (cpu.el == 0 || !in_id_space(encoding)) return SysRegResult::kUndefined;
    value = 0;
    return SysRegResult::kDone;
  }
  if (cpu.el < row->read_el) return SysRegResult::kUndefined;
  if (const SysRegResult refused = check_gate(cpu, row->gate); refused != SysRegResult::kDone) return refused;
  switch (row->storage) {
    case Storage::kConstant: value = row->fixed; break;
    case Storage::kField64:
    case Storage::kField32: value = load_field(cpu, *row); break;
    case Storage::kComputed: value = row->read(cpu, effects); break;
    case Storage::kIcc: return effects.read_icc(encoding, value) ? SysRegResult::kDone : SysRegResult::kUndefined;
  }
  return SysRegResult::kDone;
}

SysRegResult write_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t value) {
  const Row* row = find(encoding);
  if (row == nullptr || cpu.el < row->write_el) return SysRegResult::kUndefined;
  if (const SysRegResult refused = check_gate(cpu, row->gate); refused != SysRegResult::kDone) return refused;
  switch (row->storage) {
    case Storage::kConstant: return SysRegResult::kUndefined;
    case Storage::kField64:
    case Storage::kField32: store_field(cpu, *row, value); break;
    case Storage::kComputed: row->write(cpu, effects, value); break;
    case Storage::kIcc: return effects.write_icc(encoding, value) ? SysRegResult::kDone : SysRegResult::kUndefined;
  }
  apply(row->effect, effects);
  return SysRegResult::kDone;
}

SysRegResult write_pstate_field(CpuState& cpu, SystemEffects& effects, unsigned op1, unsigned op2, unsigned imm) {
  const unsigned bit = imm & 1;
  switch ((op1 << 3) | op2) {
    case (0 << 3) | 3:
      return write_sysreg(cpu, effects, sysreg_encoding(3, 0, 4, 2, 4), static_cast<uint64_t>(bit) << 23);  // UAO
    case (0 << 3) | 4:
      return write_sysreg(cpu, effects, sysreg_encoding(3, 0, 4, 2, 3), static_cast<uint64_t>(bit) << 22);  // PAN
    case (0 << 3) | 5: return write_sysreg(cpu, effects, sysreg_encoding(3, 0, 4, 2, 0), bit);              // SPSel
    case (3 << 3) | 2:
      return write_sysreg(cpu, effects, sysreg_encoding(3, 3, 4, 2, 5), static_cast<uint64_t>(bit) << 24);  // DIT
    case (3 << 3) | 6:
      return write_sysreg(cpu, effects, sysreg_encoding(3, 3, 4, 2, 1), cpu.daif | ((imm & 15u) << 6));  // DAIFSet
    case (3 << 3) | 7:
      return write_sysreg(cpu, effects, sysreg_encoding(3, 3, 4, 2, 1), cpu.daif & ~((imm & 15u) << 6));  // DAIFClr
    default: return SysRegResult::kUndefined;
  }
}

SysRegAccess inline_read(uint16_t encoding, unsigned el, bool sp_elx) {
  const Row* row = find(encoding);
  SysRegAccess access;
  if (row == nullptr) {
    if (el != 0 && in_id_space(encoding)) access.kind = SysRegAccess::Kind::kConstant;
    return access;
  }
  if (el < row->read_el || !ungated(*row, el, sp_elx)) return access;
  switch (row->storage) {
    case Storage::kConstant:
      access.kind = SysRegAccess::Kind::kConstant;
      access.value = row->fixed;
      return access;
    case Storage::kField64:
    case Storage::kField32: return storage_access(*row);
    default:
      if (row->read == read_zero) access.kind = SysRegAccess::Kind::kConstant;
      return access;
  }
}

SysRegAccess inline_write(uint16_t encoding, unsigned el, bool sp_elx) {
  const Row* row = find(encoding);
  SysRegAccess access;
  if (row == nullptr || el < row->write_el || !ungated(*row, el, sp_elx)) return access;
  if (row->write == write_ignored) access.kind = SysRegAccess::Kind::kConstant;
  if (row->effect != Effect::NONE || row->fixed != 0) return access;
  const bool whole64 = row->storage == Storage::kField64 && row->writable == ~0ull;
  const bool whole32 = row->storage == Storage::kField32 && row->writable == 0xffffffff;
  return whole64 || whole32 ? storage_access(*row) : access;
}

const char* sysreg_name(uint16_t encoding) {
  if (const Row* row = find(encoding)) return row->name;
  static thread_local char name[24];
  std::snprintf(name, sizeof name, "S%u_%u_C%u_C%u_%u", (encoding >> 14) & 3u, (encoding >> 11) & 7u, (encoding >> 7) & 15u,
                (encoding >> 3) & 15u, encoding & 7u);
  return name;
}

void reset(CpuState& cpu, uint64_t affinity) {
  const uint64_t cntfrq = cpu.cntfrq, cntvoff = cpu.cntvoff;
  cpu = CpuState{};
  cpu.cntfrq = cntfrq;
  cpu.cntvoff = cntvoff;
  cpu.set_nzcv(0);
  cpu.el = 1;
  cpu.sp_sel = 1;
  cpu.daif = kDaifMask;
  cpu.sctlr_el[1] = kSctlrReset;
  cpu.mpidr_el1 = kMpidrRes1 | (affinity & kMpidrAffinity);
  cpu.oslsr_el1 = kOslsrImplemented | kOslsrLocked;
}

}  // namespace adyton::engine::arm64
