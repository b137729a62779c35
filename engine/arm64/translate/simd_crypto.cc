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

Translator::Value Translator::vec_rotate_right(Value a, unsigned amount) {
  return vec(Opcode::kVecOr, 4, vec_imm(Opcode::kVecShrImm, 2, a, amount), vec_imm(Opcode::kVecShlImm, 2, a, 32 - amount));
}

Translator::Value Translator::vec_sha256_sigma(Value a, Value b, unsigned rotate1, unsigned rotate2, unsigned shift) {
  const Value rotated = vec(Opcode::kVecXor, 4, vec_rotate_right(b, rotate1), vec_rotate_right(b, rotate2));
  return vec(Opcode::kVecAdd, 2, a, vec(Opcode::kVecXor, 4, rotated, vec_imm(Opcode::kVecShrImm, 2, b, shift)));
}

Translator::Flow Translator::crypto_sha_three(uint32_t insn) {
  const unsigned opcode = bits(insn, 14, 12), d_reg = bits(insn, 4, 0);
  if (opcode == 7) return Flow::kInterpretExit;
  const Value d = b_.get_vec(d_reg), n = b_.get_vec(bits(insn, 9, 5)), m = b_.get_vec(bits(insn, 20, 16));
  const auto call = [&](const void* helper, unsigned aux, Value a, Value b, Value c) {
    return b_.emit(Opcode::kVecCall, Type::kV128, static_cast<uint8_t>(aux), b_.block().add_helper(helper), a, b, c);
  };
  Value v;
  switch (opcode) {
    case 0b000:
    case 0b001:
    case 0b010:
      v = helpers_.sha ? vec(Opcode::kVecSha1Rounds, 4, d, n, m, opcode) : call(helpers_.sha1_rounds, opcode, d, n, m);
      break;
    case 0b011:  // SHA1SU0
      v = vec(Opcode::kVecXor, 4, vec(Opcode::kVecXor, 4, vec(Opcode::kVecExtractBytes, 0, d, n, ir::kNoValue, 8), d), m);
      break;
    case 0b100:
    case 0b101: {  // SHA256H, SHA256H2: the operands a..d and e..h change places
      const bool second = opcode & 1;
      const Value abcd = second ? n : d, efgh = second ? d : n;
      if (!helpers_.sha) {
        v = call(helpers_.sha256_rounds, second, abcd, efgh, m);
        break;
      }
      if (sha256_.abcd != abcd || sha256_.efgh != efgh || sha256_.w != m) {
        sha256_ = {abcd, efgh, m};
        sha256_.new_abcd = vec(Opcode::kVecSha256Rounds, 4, abcd, efgh, m);
        sha256_.new_efgh = b_.emit(Opcode::kVectorPairSecond, Type::kV128, 0, 0, sha256_.new_abcd);
      }
      v = second ? sha256_.new_efgh : sha256_.new_abcd;
      break;
    }
    default: {  // SHA256SU1: the last two words of the result need the first two
      const Value sum = vec(Opcode::kVecAdd, 2, d, vec(Opcode::kVecExtractBytes, 0, n, m, ir::kNoValue, 4));
      if (helpers_.sha) {
        v = vec(Opcode::kVecSha256Schedule1, 4, sum, m);
        break;
      }
      const Value low = vec_sha256_sigma(sum, vec_imm(Opcode::kVecShiftBytesRight, 0, m, 8), 17, 19, 10);
      const Value high = vec_sha256_sigma(vec_imm(Opcode::kVecShiftBytesRight, 0, sum, 8), low, 17, 19, 10);
      v = vec_join(low, high);
    }
  }
  b_.set_vec(d_reg, v);
  return Flow::kNext;
}

Translator::Flow Translator::crypto_sha_two(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), d_reg = bits(insn, 4, 0);
  const Value n = b_.get_vec(bits(insn, 9, 5));
  switch (opcode) {
    case 0: {  // SHA1H
      const Value word = b_.emit(Opcode::kVecToInt, Type::kI64, 4, 0, n);
      b_.set_vec(d_reg, b_.emit(Opcode::kVecFromInt, Type::kV128, 4, 0, b_.shift_imm(Opcode::kRor, Type::kI32, word, 2)));
      return Flow::kNext;
    }
    case 1: {  // SHA1SU1
      const Value t = vec(Opcode::kVecXor, 4, b_.get_vec(d_reg), vec_imm(Opcode::kVecShiftBytesRight, 0, n, 4));
      const Value rotated = vec_rotate_right(t, 31);
      const Value last = vec_rotate_right(vec_imm(Opcode::kVecShiftBytesLeft, 0, rotated, 12), 31);
      b_.set_vec(d_reg, vec(Opcode::kVecXor, 4, rotated, last));
      return Flow::kNext;
    }
    case 2:  // SHA256SU0
      if (helpers_.sha) {
        b_.set_vec(d_reg, vec(Opcode::kVecSha256Schedule0, 4, b_.get_vec(d_reg), n));
      } else {
        const Value d = b_.get_vec(d_reg);
        b_.set_vec(d_reg, vec_sha256_sigma(d, vec(Opcode::kVecExtractBytes, 0, d, n, ir::kNoValue, 4), 7, 18, 3));
      }
      return Flow::kNext;
    default: return Flow::kInterpretExit;
  }
}

}  // namespace adyton::engine::arm64
