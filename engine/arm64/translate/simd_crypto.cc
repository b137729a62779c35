// The cryptographic extension: AES, SHA-1, SHA-256 (Arm ARM A2.3).
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::crypto_aes(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  if (opcode == 0b00110 || opcode == 0b00111) {  // AESMC, AESIMC
    b_.set_vec(d, vec(opcode & 1 ? Opcode::kVecAesInverseMixColumns : Opcode::kVecAesMixColumns, 4, b_.get_vec(n)));
    return Flow::kNext;
  }
  if (opcode != 0b00100 && opcode != 0b00101) return Flow::kInterpretExit;
  // AESE, AESD: nearly always one instruction with the AESMC, AESIMC of the same register that follows.
  const bool decrypt = opcode & 1;
  Opcode op = decrypt ? Opcode::kVecAesDecryptStep : Opcode::kVecAesEncryptStep;
  if (offset_ + 4 < 4096 && instructions_left_ >= 2) {
    const uint32_t mix = (decrypt ? 0x4e287800u : 0x4e286800u) | d << 5 | d;
    if (__atomic_load_n(&page_[offset_ / 4 + 1], __ATOMIC_RELAXED) == mix) {
      op = decrypt ? Opcode::kVecAesDecryptRound : Opcode::kVecAesEncryptRound;
      skip_next();
    }
  }
  b_.set_vec(d, vec(op, 4, b_.get_vec(d), b_.get_vec(n)));
  return Flow::kNext;
}

Translator::Flow Translator::crypto_sha_three(uint32_t insn) {
  const unsigned opcode = bits(insn, 14, 12), d_reg = bits(insn, 4, 0);
  if (opcode == 7) return Flow::kInterpretExit;
  if (!helpers_.sha && opcode != 0b011) return Flow::kInterpret;
  const Value d = b_.get_vec(d_reg), n = b_.get_vec(bits(insn, 9, 5)), m = b_.get_vec(bits(insn, 20, 16));
  Value v;
  switch (opcode) {
    case 0b000: v = vec(Opcode::kVecSha1Rounds, 4, d, n, m, 0); break;
    case 0b001: v = vec(Opcode::kVecSha1Rounds, 4, d, n, m, 1); break;
    case 0b010: v = vec(Opcode::kVecSha1Rounds, 4, d, n, m, 2); break;
    case 0b011:  // SHA1SU0
      v = vec(Opcode::kVecXor, 4, vec(Opcode::kVecXor, 4, vec(Opcode::kVecExtractBytes, 0, d, n, ir::kNoValue, 8), d), m);
      break;
    case 0b100:
    case 0b101: {  // SHA256H, SHA256H2: the operands a..d and e..h change places
      const bool second = opcode & 1;
      const Value abcd = second ? n : d, efgh = second ? d : n;
      if (sha256_.abcd != abcd || sha256_.efgh != efgh || sha256_.w != m) {
        sha256_ = {abcd, efgh, m};
        sha256_.new_abcd = vec(Opcode::kVecSha256Rounds, 4, abcd, efgh, m);
        sha256_.new_efgh = b_.emit(Opcode::kVectorPairSecond, Type::kV128, 0, 0, sha256_.new_abcd);
      }
      v = second ? sha256_.new_efgh : sha256_.new_abcd;
      break;
    }
    default:  // SHA256SU1
      v = vec(Opcode::kVecSha256Schedule1, 4, vec(Opcode::kVecAdd, 2, d, vec(Opcode::kVecExtractBytes, 0, n, m, ir::kNoValue, 4)),
              m);
      break;
  }
  b_.set_vec(d_reg, v);
  return Flow::kNext;
}

Translator::Flow Translator::crypto_sha_two(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), d_reg = bits(insn, 4, 0);
  const Value n = b_.get_vec(bits(insn, 9, 5));
  const auto rotate_left_by_1 = [&](Value v) {
    return vec(Opcode::kVecOr, 4, vec_imm(Opcode::kVecShlImm, 2, v, 1), vec_imm(Opcode::kVecShrImm, 2, v, 31));
  };
  switch (opcode) {
    case 0: {  // SHA1H
      const Value word = b_.emit(Opcode::kVecToInt, Type::kI64, 4, 0, n);
      b_.set_vec(d_reg, b_.emit(Opcode::kVecFromInt, Type::kV128, 4, 0, b_.shift_imm(Opcode::kRor, Type::kI32, word, 2)));
      return Flow::kNext;
    }
    case 1: {  // SHA1SU1
      const Value t = vec(Opcode::kVecXor, 4, b_.get_vec(d_reg), vec_imm(Opcode::kVecShiftBytesRight, 0, n, 4));
      const Value rotated = rotate_left_by_1(t);
      const Value last = rotate_left_by_1(vec_imm(Opcode::kVecShiftBytesLeft, 0, rotated, 12));
      b_.set_vec(d_reg, vec(Opcode::kVecXor, 4, rotated, last));
      return Flow::kNext;
    }
    case 2:  // SHA256SU0
      if (!helpers_.sha) return Flow::kInterpret;
      b_.set_vec(d_reg, vec(Opcode::kVecSha256Schedule0, 4, b_.get_vec(d_reg), n));
      return Flow::kNext;
    default: return Flow::kInterpretExit;
  }
}

}  // namespace adyton::engine::arm64
