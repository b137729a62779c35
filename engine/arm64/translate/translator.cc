#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

unsigned Translator::translate(const uint32_t* page, uint16_t page_offset, const TranslationMode& mode, const KnownBlocks& known,
                               unsigned limit) {
  page_ = page;
  mode_ = mode;
  offset_ = page_offset;
  known_ = known;
  side_exits_ = 0;
  b_.reset();
  sha256_ = {};
  exclusive_ = {};
  unsigned count = 0;
  for (;;) {
    instructions_left_ = limit - count;
    const uint32_t insn = __atomic_load_n(&page_[offset_ / 4], __ATOMIC_RELAXED);
    Flow flow = mode.single_step ? Flow::kInterpretExit : instruction(insn);
    count = static_cast<unsigned>(offset_ - page_offset) / 4 + 1;  // an instruction may have taken the next one with it
    if (flow == Flow::kInterpret) {
      b_.call(ir::Opcode::kCallMayExit, helpers_.interpret, b_.constant(insn), ir::kNoValue, ir::kNoValue, static_cast<uint16_t>(offset_));
      flow = Flow::kNext;
    }
    if (flow == Flow::kInterpretExit) {
      b_.call(ir::Opcode::kExitThroughCall, helpers_.interpret_exit, b_.constant(insn), ir::kNoValue, ir::kNoValue,
              static_cast<uint16_t>(offset_));
      break;
    }
    if (flow == Flow::kEnd) break;
    offset_ += 4;
    if (offset_ == 4096 || count >= limit || b_.block().nearly_full()) {
      end_block_at(offset_);
      break;
    }
  }
  ir::analyse_flags(b_.block());
  return count;
}

// Arm ARM C4.1: the main encoding table, bits 28:25.
Translator::Flow Translator::instruction(uint32_t insn) {
  switch (bits(insn, 28, 25)) {
    case 0b1000: case 0b1001: return data_immediate(insn);
    case 0b1010: case 0b1011: return branch_or_system(insn);
    case 0b0100: case 0b0110: case 0b1100: case 0b1110: return load_store(insn);
    case 0b0101: case 0b1101: return data_register(insn);
    case 0b0111: case 0b1111: return mode_.fp_enabled ? simd_fp(insn) : Flow::kInterpretExit;
    default: return Flow::kInterpretExit;
  }
}

bool Translator::flags_live_at(int64_t page_offset) const {
  constexpr unsigned kLookAhead = 12;
  for (unsigned n = 0; n < kLookAhead; ++n, page_offset += 4) {
    if (page_offset < 0 || page_offset >= 4096) return true;
    const uint32_t insn = __atomic_load_n(&page_[page_offset / 4], __ATOMIC_RELAXED);
    switch (bits(insn, 28, 25)) {
      case 0b1000: case 0b1001:
        // ADDS, SUBS (immediate); ANDS (immediate): the flags end here. Nothing else in this group reads or writes them.
        if (bits(insn, 28, 23) == 0b100010 && bit(insn, 29)) return false;
        if (bits(insn, 28, 23) == 0b100100 && bits(insn, 30, 29) == 3) return false;
        break;
      case 0b0101: case 0b1101:
        if (bits(insn, 28, 24) == 0b01011 && bit(insn, 29)) return false;                  // ADDS, SUBS (register)
        if (bits(insn, 28, 24) == 0b01010 && bits(insn, 30, 29) == 3) return false;        // ANDS, BICS
        if (bits(insn, 28, 21) == 0b11010000 || bits(insn, 28, 21) == 0b11010010 || bits(insn, 28, 21) == 0b11010100) return true;  // ADC, CCMP, CSEL
        break;
      case 0b0100: case 0b0110: case 0b1100: case 0b1110: break;                            // loads and stores do not touch them
      case 0b1010: case 0b1011:
        if (bits(insn, 30, 26) == 0b00101) {                                                // B, BL
          if (bit(insn, 31)) return true;
          page_offset += signed_bits(insn, 25, 0) * 4 - 4;
          break;
        }
        return true;
      case 0b0111: case 0b1111:
        // Scalar floating point: FCCMP and FCSEL read them, FCMP ends them. FJCVTZS is not worth finding.
        if (bit(insn, 28) && !bit(insn, 30) && !bit(insn, 24) && bit(insn, 21)) {
          if (bit(insn, 10)) return true;
          if (bits(insn, 13, 10) == 0b1000) return false;
        }
        break;
      default: return true;
    }
  }
  return true;
}

Translator::Value Translator::shifted(Type type, unsigned n, unsigned shift, unsigned amount) {
  if (n == 31) return b_.constant(0);
  Value v = b_.get_reg(n);
  if (amount == 0) return v;
  constexpr ir::Opcode kOps[] = {ir::Opcode::kShl, ir::Opcode::kShr, ir::Opcode::kSar, ir::Opcode::kRor};
  return b_.shift_imm(kOps[shift], type, v, amount);
}

Translator::Value Translator::extended(unsigned n, unsigned option, unsigned shift) {
  if (n == 31) return b_.constant(0);
  Value v = b_.get_reg(n);
  const unsigned width = 8u << (option & 3);
  if (width < 64) v = option & 4 ? b_.sign_extend(Type::kI64, v, width) : b_.zero_extend(v, width);
  return b_.shift_imm(ir::Opcode::kShl, Type::kI64, v, shift);
}

void Translator::add_sub(Type type, bool subtract, bool set_flags, unsigned d, bool d_is_sp, Value a, Value b) {
  Value v;
  if (set_flags) {
    v = b_.binary(subtract ? ir::Opcode::kSubFlags : ir::Opcode::kAddFlags, type, a, b);
  } else if (subtract) {
    v = b_.binary(ir::Opcode::kSub, type, a, b);
  } else {
    v = b_.add(type, a, b);
  }
  if (d_is_sp) b_.set_reg(d, v); else set_reg(d, v);
}

}  // namespace adyton::engine::arm64
