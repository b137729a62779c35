// Condition flags: who has them, what an x86 condition means for them, and moving them between EFLAGS and memory.
#include "engine/ir/flags_image.h"
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::Condition;
using ir::Opcode;

namespace {

// In the flags word (ir::flags_image), as seen through its second byte: sahf's layout.
constexpr uint8_t kImageHighN = ir::kFlagN >> 8, kImageHighZ = ir::kFlagZ >> 8, kImageHighNotC = ir::kFlagNotC >> 8;
constexpr int32_t kSetOverflow = 127;  // 1 + 127 overflows a signed byte, 0 + 127 does not
constexpr int32_t kNzcvBits = static_cast<int32_t>(ir::kFlagsMask);

}  // namespace

void BlockCompiler::emit_save_flags(Assembler& as) const {
  const Mem image = state(layout_.flags);
  switch (flags_in_) {
    case FlagsIn::kMemory: return;
    case FlagsIn::kEflagsBorrow:
      as.lahf();
      as.setcc(Cond::o, Gpr::rax);
      as.mov(Width::k16, image, Gpr::rax);
      return;
    case FlagsIn::kEflagsCarry:
      as.cmc();
      as.lahf();
      as.cmc();
      as.setcc(Cond::o, Gpr::rax);
      as.mov(Width::k16, image, Gpr::rax);
      return;
    case FlagsIn::kEflagsCompare: {
      // Unordered: C and V. Equal: Z and C. Less: N. Greater: C.
      Label unordered, store;
      as.jcc(Cond::p, unordered);
      as.lahf();
      as.and_(Width::k32, Gpr::rax, 0x4100);
      as.bt(Width::k32, Gpr::rax, 8u);
      Label not_less;
      as.jcc(Cond::ae, not_less);
      as.or_(Width::k32, Gpr::rax, static_cast<int32_t>(ir::kFlagN));
      as.bind(not_less);
      as.jmp(store);
      as.bind(unordered);
      as.mov_imm32(Gpr::rax, ir::kFlagV);
      as.bind(store);
      as.mov(Width::k16, image, Gpr::rax);
      return;
    }
  }
}

void BlockCompiler::save_flags_if(bool wanted_afterwards) {
  if (flags_in_ == FlagsIn::kMemory) return;
  if (wanted_afterwards && !flags_saved_) emit_save_flags(hot_);
  flags_saved_ = true;
  flags_in_ = FlagsIn::kMemory;
}

void BlockCompiler::flags_to_eflags() {
  if (flags_in_ != FlagsIn::kMemory) return;
  hot_.movzx(Width::k16, Gpr::rax, state(layout_.flags));
  hot_.add(Width::k8, Gpr::rax, kSetOverflow);
  hot_.sahf();
  flags_in_ = FlagsIn::kEflagsBorrow;
  flags_saved_ = true;
}

BlockCompiler::HostCondition BlockCompiler::condition(Condition c) {
  if (flags_in_ == FlagsIn::kMemory) {
    auto test = [&](int32_t byte, uint8_t mask, bool set_means_true) {
      hot_.test(Width::k8, state(layout_.flags + byte), static_cast<int8_t>(mask));
      return HostCondition{set_means_true ? Cond::ne : Cond::e};
    };
    switch (c) {
      case Condition::kEq: return test(1, kImageHighZ, true);
      case Condition::kNe: return test(1, kImageHighZ, false);
      case Condition::kCs: return test(1, kImageHighNotC, false);
      case Condition::kCc: return test(1, kImageHighNotC, true);
      case Condition::kMi: return test(1, kImageHighN, true);
      case Condition::kPl: return test(1, kImageHighN, false);
      case Condition::kVs: return test(0, ir::kFlagV, true);
      case Condition::kVc: return test(0, ir::kFlagV, false);
      default: flags_to_eflags();
    }
  }
  if (flags_in_ == FlagsIn::kEflagsCompare) {
    switch (c) {
      case Condition::kEq: return {Cond::e, true, Cond::np, true};
      case Condition::kNe: return {Cond::ne, true, Cond::p, false};
      case Condition::kCs:
      case Condition::kPl: return {Cond::ae, true, Cond::p, false};
      case Condition::kCc:
      case Condition::kMi: return {Cond::b, true, Cond::np, true};
      case Condition::kVs: return {Cond::p};
      case Condition::kVc: return {Cond::np};
      case Condition::kHi: return {Cond::a, true, Cond::p, false};
      case Condition::kLs: return {Cond::be, true, Cond::np, true};
      case Condition::kGe: return {Cond::ae};
      case Condition::kLt: return {Cond::b};
      case Condition::kGt: return {Cond::a};
      default: return {Cond::be};
    }
  }
  if (flags_in_ == FlagsIn::kEflagsCarry) {
    switch (c) {
      case Condition::kCs: return {Cond::b};
      case Condition::kCc: return {Cond::ae};
      case Condition::kHi:
      case Condition::kLs:
        hot_.cmc();
        flags_in_ = FlagsIn::kEflagsBorrow;
        break;
      default: break;
    }
  }
  switch (c) {
    case Condition::kEq: return {Cond::e};
    case Condition::kNe: return {Cond::ne};
    case Condition::kCs: return {Cond::ae};
    case Condition::kCc: return {Cond::b};
    case Condition::kMi: return {Cond::s};
    case Condition::kPl: return {Cond::ns};
    case Condition::kVs: return {Cond::o};
    case Condition::kVc: return {Cond::no};
    case Condition::kHi: return {Cond::a};
    case Condition::kLs: return {Cond::be};
    case Condition::kGe: return {Cond::ge};
    case Condition::kLt: return {Cond::l};
    case Condition::kGt: return {Cond::g};
    default: return {Cond::le};
  }
}

void BlockCompiler::carry_to_cf(bool inverted) {
  switch (flags_in_) {
    case FlagsIn::kEflagsBorrow:
      if (!inverted) hot_.cmc();
      return;
    case FlagsIn::kEflagsCarry:
      if (inverted) hot_.cmc();
      return;
    case FlagsIn::kEflagsCompare: save_flags_if(true); [[fallthrough]];
    case FlagsIn::kMemory:
      hot_.bt(Width::k32, state(layout_.flags), 8u);
      if (!inverted) hot_.cmc();
      return;
  }
}

void BlockCompiler::flags(Value v, const Inst& inst) {
  const Width width = width_of(inst);
  auto produced = [&](FlagsIn where) {
    flags_in_ = where;
    flags_saved_ = false;
  };
  auto immediate_operand = [&](Value b, int32_t& imm) {
    const Inst& constant = (*block_)[b];
    if (constant.op != Opcode::kConst) return false;
    imm = static_cast<int32_t>(constant.imm);
    return width == Width::k32 || static_cast<uint64_t>(static_cast<int64_t>(imm)) == constant.imm;
  };
  switch (inst.op) {
    case Opcode::kAddFlags:
    case Opcode::kSubFlags:
    case Opcode::kAndFlags: {
      int32_t imm = 0;
      const bool constant = immediate_operand(inst.args[1], imm);
      if (inst.uses == 0 && inst.op != Opcode::kAddFlags) {
        const Gpr a = use(inst.args[0]);
        if (inst.op == Opcode::kSubFlags) {
          if (constant)
            hot_.cmp(width, a, imm);
          else
            hot_.cmp(width, a, use(inst.args[1]));
        } else {
          if (constant)
            hot_.test(width, a, imm);
          else
            hot_.test(width, a, use(inst.args[1]));
        }
      } else {
        alu(v, inst);
      }
      produced(inst.op == Opcode::kSubFlags ? FlagsIn::kEflagsBorrow : FlagsIn::kEflagsCarry);
      break;
    }
    case Opcode::kAdc:
    case Opcode::kAdcFlags:
    case Opcode::kSbc:
    case Opcode::kSbcFlags: {
      const bool subtract = inst.op == Opcode::kSbc || inst.op == Opcode::kSbcFlags;
      if (inst.flags_live && (inst.op == Opcode::kAdc || inst.op == Opcode::kSbc)) save_flags_if(true);
      use(inst.args[0]);
      const Gpr b = use(inst.args[1]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      carry_to_cf(subtract);
      if (subtract)
        hot_.sbb(width, d, b);
      else
        hot_.adc(width, d, b);
      if (inst.op == Opcode::kAdcFlags) {
        produced(FlagsIn::kEflagsCarry);
      } else if (inst.op == Opcode::kSbcFlags) {
        produced(FlagsIn::kEflagsBorrow);
      } else {
        flags_in_ = FlagsIn::kMemory;
        flags_saved_ = true;
      }
      break;
    }
    case Opcode::kCompareIf:
    case Opcode::kCompareNegativeIf: {
      const bool negative = inst.op == Opcode::kCompareNegativeIf;
      const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
      const Gpr sum = negative ? gprs_.temp() : a;
      const HostCondition hc = condition(static_cast<Condition>(inst.aux));
      Label otherwise, compare, end;
      if (!hc.has_second) {
        hot_.jcc(invert(hc.first), otherwise);
      } else if (hc.both) {
        hot_.jcc(invert(hc.first), otherwise);
        hot_.jcc(invert(hc.second), otherwise);
      } else {
        hot_.jcc(hc.first, compare);
        hot_.jcc(invert(hc.second), otherwise);
      }
      hot_.bind(compare);
      if (negative) {
        hot_.mov(width, sum, a);
        hot_.add(width, sum, b);
      } else {
        hot_.cmp(width, a, b);
      }
      hot_.jmp(end);
      hot_.bind(otherwise);
      const uint32_t image = ir::flags_image(static_cast<uint32_t>(inst.imm)) ^ (negative ? ir::kFlagNotC : 0);
      hot_.mov_imm32(Gpr::rax, image);
      hot_.add(Width::k8, Gpr::rax, kSetOverflow);
      hot_.sahf();
      hot_.bind(end);
      produced(negative ? FlagsIn::kEflagsCarry : FlagsIn::kEflagsBorrow);
      break;
    }
    case Opcode::kSetNzcv: {
      const Gpr a = use(inst.args[0]);
      hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(kNzcvBits));
      hot_.pdep(Width::k32, Gpr::rax, a, Gpr::rax);
      hot_.xor_(Width::k32, Gpr::rax, static_cast<int32_t>(ir::kFlagNotC));
      hot_.mov(Width::k16, state(layout_.flags), Gpr::rax);
      flags_in_ = FlagsIn::kMemory;
      flags_saved_ = true;
      break;
    }
    case Opcode::kGetNzcv: {
      save_flags_if(true);
      const Gpr d = gprs_.define(v);
      hot_.movzx(Width::k16, d, state(layout_.flags));
      hot_.xor_(Width::k32, d, static_cast<int32_t>(ir::kFlagNotC));
      hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(kNzcvBits));
      hot_.pext(Width::k32, d, d, Gpr::rax);
      break;
    }
    case Opcode::kInvertCarry:
      if (flags_in_ == FlagsIn::kEflagsBorrow || flags_in_ == FlagsIn::kEflagsCarry) {
        produced(flags_in_ == FlagsIn::kEflagsBorrow ? FlagsIn::kEflagsCarry : FlagsIn::kEflagsBorrow);
      } else {
        save_flags_if(true);
        hot_.xor_(Width::k16, state(layout_.flags), static_cast<int32_t>(ir::kFlagNotC));
      }
      break;
    case Opcode::kSelect: {
      const Gpr if_true = use(inst.args[0]);
      const Gpr if_false = use(inst.args[1]);
      const Width w = width;
      auto c = static_cast<Condition>(inst.aux);
      if (c == Condition::kAlways) {
        hot_.mov(w, gprs_.define(v), if_true);
        break;
      }
      // d := the value that is kept when the last cmov does not fire.
      const Gpr d = gprs_.define(v);
      const HostCondition hc = condition(c);
      if (hc.has_second && hc.both) {
        hot_.mov(w, d, if_true);
        hot_.cmov(w, invert(hc.first), d, if_false);
        hot_.cmov(w, invert(hc.second), d, if_false);
      } else {
        hot_.mov(w, d, if_false);
        hot_.cmov(w, hc.first, d, if_true);
        if (hc.has_second) hot_.cmov(w, hc.second, d, if_true);
      }
      break;
    }
    case Opcode::kSetIf: {
      const Gpr d = gprs_.define(v);
      const HostCondition hc = condition(static_cast<Condition>(inst.aux));
      if (!hc.has_second) {
        hot_.setcc(hc.first, d);
        hot_.movzx(Width::k8, d, d);
        break;
      }
      hot_.mov_imm32(d, hc.both ? 1 : 0);
      hot_.mov_imm32(Gpr::rax, hc.both ? 0 : 1);
      hot_.cmov(Width::k32, hc.both ? invert(hc.first) : hc.first, d, Gpr::rax);
      hot_.cmov(Width::k32, hc.both ? invert(hc.second) : hc.second, d, Gpr::rax);
      break;
    }
    default: break;
  }
}

}  // namespace adyton::engine::x64
