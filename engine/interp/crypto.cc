// The cryptographic extension: AES, SHA-1 and SHA-256 (FIPS 197, FIPS 180-4; Arm ARM shared/functions/crypto).
#include <array>
#include <bit>

#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

// Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1
constexpr uint8_t times_two(uint8_t a) { return static_cast<uint8_t>((a << 1) ^ ((a & 0x80) ? 0x1b : 0)); }
constexpr uint8_t gf_multiply(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (; b != 0; b >>= 1, a = times_two(a)) {
    if (b & 1) product ^= a;
  }
  return product;
}

struct SubstitutionBoxes {
  std::array<uint8_t, 256> forward{}, inverse{};
};
constexpr SubstitutionBoxes make_boxes() {
  SubstitutionBoxes boxes;
  for (unsigned i = 0; i < 256; ++i) {
    // The inverse of i is i^254.
    uint8_t power = 1;
    for (unsigned n = 0; n < 254; ++n) power = gf_multiply(power, static_cast<uint8_t>(i));
    const uint8_t b = i == 0 ? uint8_t{0} : power;
    const auto s = static_cast<uint8_t>(b ^ std::rotl(b, 1) ^ std::rotl(b, 2) ^ std::rotl(b, 3) ^ std::rotl(b, 4) ^ 0x63);
    boxes.forward[i] = s;
    boxes.inverse[s] = static_cast<uint8_t>(i);
  }
  return boxes;
}

const SubstitutionBoxes& boxes() {
  static const SubstitutionBoxes tables = make_boxes();
  return tables;
}

// The state is 16 bytes, column after column.
using AesState = std::array<uint8_t, 16>;

AesState to_state(const Vector& v) {
  AesState state;
  for (unsigned i = 0; i < 16; ++i) state[i] = static_cast<uint8_t>(lane(v, i, 8));
  return state;
}
Vector from_state(const AesState& state) {
  Vector v{};
  for (unsigned i = 0; i < 16; ++i) set_lane(v, i, 8, uint64_t{state[i]});
  return v;
}

// ShiftRows and SubBytes, or their inverses: row r moves r columns to the left (right).
AesState shift_and_substitute(const AesState& in, bool inverse) {
  AesState out;
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      const uint8_t byte = in[row + 4 * ((inverse ? column + 4 - row : column + row) % 4)];
      out[row + 4 * column] = inverse ? boxes().inverse[byte] : boxes().forward[byte];
    }
  }
  return out;
}

AesState mix_columns(const AesState& in, bool inverse) {
  static constexpr std::array<uint8_t, 4> kForward = {2, 3, 1, 1}, kInverse = {14, 11, 13, 9};
  const auto& coefficients = inverse ? kInverse : kForward;
  AesState out{};
  for (unsigned column = 0; column < 4; ++column) {
    for (unsigned row = 0; row < 4; ++row) {
      for (unsigned k = 0; k < 4; ++k) out[4 * column + row] ^= gf_multiply(in[4 * column + k], coefficients[(k + 4 - row) % 4]);
    }
  }
  return out;
}

using Words = std::array<uint32_t, 4>;

Words to_words(const Vector& v) {
  return {static_cast<uint32_t>(v.d[0]), static_cast<uint32_t>(v.d[0] >> 32), static_cast<uint32_t>(v.d[1]),
          static_cast<uint32_t>(v.d[1] >> 32)};
}
Vector from_words(const Words& w) { return {{w[0] | (uint64_t{w[1]} << 32), w[2] | (uint64_t{w[3]} << 32)}}; }

uint32_t choose(uint32_t x, uint32_t y, uint32_t z) { return ((y ^ z) & x) ^ z; }
uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) | ((x | y) & z); }
uint32_t parity(uint32_t x, uint32_t y, uint32_t z) { return x ^ y ^ z; }

// Four rounds of SHA-1.
Words sha1_rounds(Words x, uint32_t y, const Words& w, uint32_t (*function)(uint32_t, uint32_t, uint32_t)) {
  for (unsigned e = 0; e < 4; ++e) {
    y += std::rotl(x[0], 5) + function(x[1], x[2], x[3]) + w[e];
    x[1] = std::rotl(x[1], 30);
    const uint32_t next = x[3];
    x = {y, x[0], x[1], x[2]};
    y = next;
  }
  return x;
}

// Four rounds of SHA-256: `first_half` returns a..d, else e..h.
Words sha256_rounds(Words x, Words y, const Words& w, bool first_half) {
  for (unsigned e = 0; e < 4; ++e) {
    const uint32_t sigma1 = std::rotr(y[0], 6) ^ std::rotr(y[0], 11) ^ std::rotr(y[0], 25);
    const uint32_t sigma0 = std::rotr(x[0], 2) ^ std::rotr(x[0], 13) ^ std::rotr(x[0], 22);
    const uint32_t t = y[3] + sigma1 + choose(y[0], y[1], y[2]) + w[e];
    const uint32_t next_y = x[3] + t, next_x = t + sigma0 + majority(x[0], x[1], x[2]);
    x = {next_x, x[0], x[1], x[2]};
    y = {next_y, y[0], y[1], y[2]};
  }
  return first_half ? x : y;
}

Words sha256_schedule_update0(const Words& d, const Words& n) {
  const Words t = {d[1], d[2], d[3], n[0]};
  Words result;
  for (unsigned e = 0; e < 4; ++e) result[e] = d[e] + (std::rotr(t[e], 7) ^ std::rotr(t[e], 18) ^ (t[e] >> 3));
  return result;
}

Words sha256_schedule_update1(const Words& d, const Words& n, const Words& m) {
  const Words t0 = {n[1], n[2], n[3], m[0]};
  Words result{};
  for (unsigned e = 0; e < 4; ++e) {
    const uint32_t word = e < 2 ? m[e + 2] : result[e - 2];
    result[e] = d[e] + t0[e] + (std::rotr(word, 17) ^ std::rotr(word, 19) ^ (word >> 10));
  }
  return result;
}

}  // namespace

bool crypto_aes(CpuState& cpu, uint32_t insn) {
  if (size_field(insn) != 0) return false;
  Vector& d = cpu.v[rd(insn)];
  const Vector n = cpu.v[rn(insn)];
  const Vector keyed = {{d.d[0] ^ n.d[0], d.d[1] ^ n.d[1]}};
  switch (field(insn, 16, 12)) {
    case 0b00100: d = from_state(shift_and_substitute(to_state(keyed), false)); return true;  // AESE
    case 0b00101: d = from_state(shift_and_substitute(to_state(keyed), true)); return true;   // AESD
    case 0b00110: d = from_state(mix_columns(to_state(n), false)); return true;               // AESMC
    case 0b00111: d = from_state(mix_columns(to_state(n), true)); return true;                // AESIMC
    default: return false;
  }
}

bool crypto_sha_three_reg(CpuState& cpu, uint32_t insn) {
  if (size_field(insn) != 0) return false;
  Vector& destination = cpu.v[rd(insn)];
  const Words d = to_words(destination), n = to_words(cpu.v[rn(insn)]), m = to_words(cpu.v[rm(insn)]);
  switch (field(insn, 14, 12)) {
    case 0b000: destination = from_words(sha1_rounds(d, n[0], m, choose)); return true;    // SHA1C
    case 0b001: destination = from_words(sha1_rounds(d, n[0], m, parity)); return true;    // SHA1P
    case 0b010: destination = from_words(sha1_rounds(d, n[0], m, majority)); return true;  // SHA1M
    case 0b011: {                                                                          // SHA1SU0
      const Words shifted = {d[2], d[3], n[0], n[1]};
      destination =
          from_words({shifted[0] ^ d[0] ^ m[0], shifted[1] ^ d[1] ^ m[1], shifted[2] ^ d[2] ^ m[2], shifted[3] ^ d[3] ^ m[3]});
      return true;
    }
    case 0b100: destination = from_words(sha256_rounds(d, n, m, true)); return true;      // SHA256H
    case 0b101: destination = from_words(sha256_rounds(n, d, m, false)); return true;     // SHA256H2
    case 0b110: destination = from_words(sha256_schedule_update1(d, n, m)); return true;  // SHA256SU1
    default: return false;
  }
}

bool crypto_sha_two_reg(CpuState& cpu, uint32_t insn) {
  if (size_field(insn) != 0) return false;
  Vector& destination = cpu.v[rd(insn)];
  const Words d = to_words(destination), n = to_words(cpu.v[rn(insn)]);
  switch (field(insn, 16, 12)) {
    case 0b00000: destination = scalar_vector(std::rotl(n[0], 30)); return true;  // SHA1H
    case 0b00001: {                                                               // SHA1SU1
      const Words t = {d[0] ^ n[1], d[1] ^ n[2], d[2] ^ n[3], d[3]};
      destination =
          from_words({std::rotl(t[0], 1), std::rotl(t[1], 1), std::rotl(t[2], 1), std::rotl(t[3], 1) ^ std::rotl(t[0], 2)});
      return true;
    }
    case 0b00010: destination = from_words(sha256_schedule_update0(d, n)); return true;  // SHA256SU0
    default: return false;
  }
}

}  // namespace adyton::engine::interp
