#include "engine/arm64/system_instruction.h"

namespace adyton::engine::arm64 {
namespace {

using enum SystemInstruction;

constexpr uint64_t kSctlrDze = 1ull << 14, kSctlrNtwi = 1ull << 16, kSctlrNtwe = 1ull << 18, kSctlrUci = 1ull << 26;

// PAR_EL1 (Arm ARM D19.2.110).
constexpr uint64_t kParFault = 1, kParRes1 = 1ull << 11;

struct Row {
  uint8_t op1, crn, crm, op2;
  SystemInstruction instruction;
};

constexpr Row kRows[] = {
    {0, 7, 1, 0, kIcIalluis}, {0, 7, 5, 0, kIcIallu}, {3, 7, 5, 1, kIcIvau},
    {0, 7, 6, 1, kDcIvac}, {0, 7, 6, 2, kDcIsw}, {0, 7, 10, 2, kDcCsw}, {0, 7, 14, 2, kDcCisw},
    {3, 7, 4, 1, kDcZva}, {3, 7, 10, 1, kDcCvac}, {3, 7, 11, 1, kDcCvau}, {3, 7, 12, 1, kDcCvap}, {3, 7, 14, 1, kDcCivac},
    {0, 7, 8, 0, kAtS1e1r}, {0, 7, 8, 1, kAtS1e1w}, {0, 7, 8, 2, kAtS1e0r}, {0, 7, 8, 3, kAtS1e0w},
    {0, 7, 9, 0, kAtS1e1rp}, {0, 7, 9, 1, kAtS1e1wp},
};

// CRn = 8, op1 = 0: {OS, range IS, IS, range OS, range, Non-shareable} = CRm {1, 2, 3, 5, 6, 7}.
bool is_tlbi_el1(unsigned crm, unsigned op2) {
  switch (crm) {
    case 1:
    case 3:
    case 7: return op2 <= 3 || op2 == 5 || op2 == 7;
    case 2:
    case 5:
    case 6: return (op2 & 1) != 0;
    default: return false;
  }
}

bool is_at(SystemInstruction instruction) { return instruction >= kAtS1e1r && instruction <= kAtS1e1wp; }

}  // namespace

SystemInstruction decode_system_instruction(uint16_t encoding) {
  const unsigned op0 = encoding >> 14, op1 = (encoding >> 11) & 7, crn = (encoding >> 7) & 15, crm = (encoding >> 3) & 15,
                 op2 = encoding & 7;
  if (op0 != 1) return kUndefined;
  if (crn == 8) return op1 == 0 && is_tlbi_el1(crm, op2) ? kTlbi : kUndefined;
  for (const Row& row : kRows) {
    if (row.op1 == op1 && row.crn == crn && row.crm == crm && row.op2 == op2) return row.instruction;
  }
  return kUndefined;
}

SysRegResult check_system_instruction(const CpuState& cpu, SystemInstruction instruction) {
  if (instruction == kUndefined) return SysRegResult::kUndefined;
  if (cpu.el != 0) return SysRegResult::kDone;
  const uint64_t sctlr = cpu.sctlr_el[1];
  switch (instruction) {
    case kDcZva: return (sctlr & kSctlrDze) ? SysRegResult::kDone : SysRegResult::kTrapped;
    case kDcCvac:
    case kDcCvau:
    case kDcCvap:
    case kDcCivac:
    case kIcIvau: return (sctlr & kSctlrUci) ? SysRegResult::kDone : SysRegResult::kTrapped;
    default: return SysRegResult::kUndefined;
  }
}

bool maintenance_access(SystemInstruction instruction, AccessKind& kind) {
  switch (instruction) {
    case kDcZva:
    case kDcIvac: kind = AccessKind::kWrite; return true;
    case kDcCvac:
    case kDcCvau:
    case kDcCvap:
    case kDcCivac:
    case kIcIvau: kind = AccessKind::kCacheMaintenance; return true;
    default: return false;
  }
}

AccessContext maintenance_context(const CpuState& cpu, SystemInstruction instruction) {
  AccessContext context;
  context.el = cpu.el;
  context.pan = instruction == kDcZva && cpu.pan;
  // Only DC ZVA stores; the others leave the dirty state alone (Arm ARM D8.5.3).
  context.update_tables = instruction == kDcZva;
  return context;
}

uint32_t maintenance_abort_iss(SystemInstruction instruction, const Fault& fault) {
  return data_abort_iss(fault, true, instruction != kDcZva);
}

bool address_translate(CpuState& cpu, const GuestMemory& memory, SystemInstruction instruction, uint64_t va, Fault& fault) {
  if (!is_at(instruction)) return false;
  AccessContext context;
  context.el = instruction == kAtS1e0r || instruction == kAtS1e0w ? 0 : 1;
  context.pan = (instruction == kAtS1e1rp || instruction == kAtS1e1wp) && cpu.pan;
  context.update_tables = false;
  const bool write = instruction == kAtS1e1w || instruction == kAtS1e0w || instruction == kAtS1e1wp;
  const Translation t = translate(cpu, memory, va, write ? AccessKind::kWrite : AccessKind::kRead, context);
  fault = t.fault;
  if (t.fault.type == FaultType::kSyncExternalOnWalk) return true;
  if (t.fault.type != FaultType::kNone) {
    cpu.par_el1 = kParFault | (static_cast<uint64_t>(t.fault.status_code()) << 1) | kParRes1;
    return false;
  }
  // Device and Normal Non-cacheable memory report Outer Shareable whatever the descriptor says.
  const bool outer = t.device || t.mair_attr == 0x44;
  cpu.par_el1 = (static_cast<uint64_t>(t.mair_attr) << 56) | (t.pa & 0x0000fffffffff000ull) | kParRes1 |
                (static_cast<uint64_t>(outer ? 2 : t.shareability) << 7);
  return false;
}

bool wfx_traps(const CpuState& cpu, bool event) { return cpu.el == 0 && !(cpu.sctlr_el[1] & (event ? kSctlrNtwe : kSctlrNtwi)); }

}  // namespace adyton::engine::arm64
