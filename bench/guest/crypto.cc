// Cryptography with the Armv8 crypto and CRC32 extensions, the way OpenSSL and the kernel use them.
#include <arm_acle.h>
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include <array>
#include <cstring>

#include "bench/guest/harness.h"
#include "bench/guest/sha256.h"

namespace adyton::bench {
namespace {

constexpr uint32_t kRecord = 8192;
alignas(16) std::array<uint8_t, kRecord> plain;
alignas(16) std::array<uint8_t, kRecord> cipher;

bool have(unsigned long features) { return (::getauxval(AT_HWCAP) & features) == features; }
bool have_aes() { return have(HWCAP_AES | HWCAP_PMULL); }
bool have_sha1() { return have(HWCAP_SHA1); }
bool have_sha2() { return have(HWCAP_SHA2); }
bool have_crc32() { return have(HWCAP_CRC32); }

void prepare() {
  Random random(51);
  for (uint8_t& byte : plain) byte = static_cast<uint8_t>(random.next() >> 40);
}

// FIPS 197: the eleven round keys of AES-128. The S-box comes from AESE with a zero key: its ShiftRows does not move equal
// columns.
class Aes128 {
 public:
  explicit Aes128(const std::array<uint8_t, 16>& key) {
    std::array<uint32_t, 44> words;
    std::memcpy(words.data(), key.data(), key.size());
    uint32_t round_constant = 1;
    for (size_t i = 4; i < words.size(); ++i) {
      uint32_t word = words[i - 1];
      if (i % 4 == 0) {
        word = substitute(word >> 8 | word << 24) ^ round_constant;
        round_constant = (round_constant << 1) ^ (round_constant & 0x80 ? 0x11b : 0);
      }
      words[i] = words[i - 4] ^ word;
    }
    for (size_t i = 0; i < keys_.size(); ++i) keys_[i] = vreinterpretq_u8_u32(vld1q_u32(&words[4 * i]));
  }

  uint8x16_t encrypt(uint8x16_t block) const {
    for (int i = 0; i < 9; ++i) block = vaesmcq_u8(vaeseq_u8(block, keys_[i]));
    return veorq_u8(vaeseq_u8(block, keys_[9]), keys_[10]);
  }

  // Four at a time, so that a pipelined AES unit is busy.
  void encrypt4(uint8x16_t (&blocks)[4]) const {
    for (int i = 0; i < 9; ++i) {
      for (uint8x16_t& block : blocks) block = vaesmcq_u8(vaeseq_u8(block, keys_[i]));
    }
    for (uint8x16_t& block : blocks) block = veorq_u8(vaeseq_u8(block, keys_[9]), keys_[10]);
  }

 private:
  static uint32_t substitute(uint32_t word) {
    const uint8x16_t columns = vreinterpretq_u8_u32(vdupq_n_u32(word));
    return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(columns, vdupq_n_u8(0))), 0);
  }

  std::array<uint8x16_t, 11> keys_;
};

poly128_t multiply_low(uint64x2_t a, uint64x2_t b) {
  return vmull_p64(static_cast<poly64_t>(vgetq_lane_u64(a, 0)), static_cast<poly64_t>(vgetq_lane_u64(b, 0)));
}

// GHASH (SP 800-38D) with values bit-reversed within bytes, so that a carry-less product needs no shift: bit i is the coefficient
// of x^i.
class Ghash {
 public:
  explicit Ghash(uint8x16_t h) : h_(vreinterpretq_u64_u8(vrbitq_u8(h))) {}

  void update(uint8x16_t block) {
    const uint64x2_t x = veorq_u64(state_, vreinterpretq_u64_u8(vrbitq_u8(block)));
    const uint64x2_t swapped = vextq_u64(h_, h_, 1);
    const uint64x2_t zero = vdupq_n_u64(0);
    uint64x2_t low = vreinterpretq_u64_p128(multiply_low(x, h_));
    uint64x2_t high = vreinterpretq_u64_p128(vmull_high_p64(vreinterpretq_p64_u64(x), vreinterpretq_p64_u64(h_)));
    const uint64x2_t middle =
        veorq_u64(vreinterpretq_u64_p128(multiply_low(x, swapped)),
                  vreinterpretq_u64_p128(vmull_high_p64(vreinterpretq_p64_u64(x), vreinterpretq_p64_u64(swapped))));
    low = veorq_u64(low, vextq_u64(zero, middle, 1));
    high = veorq_u64(high, vextq_u64(middle, zero, 1));
    // x^128 = x^7 + x^2 + x + 1: fold the top half twice.
    const uint64x2_t polynomial = vdupq_n_u64(0x87);
    const uint64x2_t top = vreinterpretq_u64_p128(vmull_high_p64(vreinterpretq_p64_u64(high), vreinterpretq_p64_u64(polynomial)));
    low = veorq_u64(low, vextq_u64(zero, top, 1));
    high = veorq_u64(high, vextq_u64(top, zero, 1));
    state_ = veorq_u64(low, vreinterpretq_u64_p128(multiply_low(high, polynomial)));
  }

  uint8x16_t value() const { return vrbitq_u8(vreinterpretq_u8_u64(state_)); }

 private:
  uint64x2_t h_;
  uint64x2_t state_ = vdupq_n_u64(0);
};

uint8x16_t counter_block(const std::array<uint8_t, 12>& iv, uint32_t counter) {
  std::array<uint8_t, 16> block;
  std::memcpy(block.data(), iv.data(), iv.size());
  counter = __builtin_bswap32(counter);
  std::memcpy(block.data() + iv.size(), &counter, sizeof(counter));
  return vld1q_u8(block.data());
}

// AES-128-GCM of whole blocks, without additional data. Returns the tag.
std::array<uint8_t, 16> seal(const Aes128& aes, const std::array<uint8_t, 12>& iv, const uint8_t* in, uint8_t* out,
                             uint32_t size) {
  Ghash ghash(aes.encrypt(vdupq_n_u8(0)));
  uint32_t counter = 2, at = 0;
  for (; at + 64 <= size; at += 64) {
    uint8x16_t blocks[4];
    for (uint8x16_t& block : blocks) block = counter_block(iv, counter++);
    aes.encrypt4(blocks);
    for (uint32_t i = 0; i < 4; ++i) {
      const uint8x16_t sealed = veorq_u8(blocks[i], vld1q_u8(in + at + 16 * i));
      vst1q_u8(out + at + 16 * i, sealed);
      ghash.update(sealed);
    }
  }
  for (; at + 16 <= size; at += 16) {
    const uint8x16_t sealed = veorq_u8(aes.encrypt(counter_block(iv, counter++)), vld1q_u8(in + at));
    vst1q_u8(out + at, sealed);
    ghash.update(sealed);
  }
  ghash.update(vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(0), vcreate_u64(__builtin_bswap64(uint64_t{size} * 8)))));
  std::array<uint8_t, 16> tag;
  vst1q_u8(tag.data(), veorq_u8(ghash.value(), aes.encrypt(counter_block(iv, 1))));
  return tag;
}

// The second test vector of the GCM specification.
void check_gcm() {
  static constexpr std::array<uint8_t, 16> expected_text = {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
                                                            0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78};
  static constexpr std::array<uint8_t, 16> expected_tag = {0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd,
                                                           0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf};
  std::array<uint8_t, 16> text{};
  const auto tag = seal(Aes128({}), {}, text.data(), text.data(), text.size());
  if (text != expected_text) fail("AES does not match FIPS 197");
  if (tag != expected_tag) fail("GHASH does not match SP 800-38D");
}

void prepare_gcm() {
  prepare();
  check_gcm();
}

uint64_t run_gcm(uint64_t iterations) {
  const Aes128 aes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  std::array<uint8_t, 12> iv{};
  uint64_t sum = 0;
  for (uint64_t i = 0; i < iterations; ++i) {
    std::memcpy(iv.data(), &i, sizeof(i));
    const auto tag = seal(aes, iv, plain.data(), cipher.data(), kRecord);
    sum += digest(tag.data(), tag.size());
  }
  return sum;
}

uint64_t run_ctr(uint64_t iterations) {
  const Aes128 aes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  const std::array<uint8_t, 12> iv{7};
  uint32_t counter = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t at = 0; at < kRecord; at += 64) {
      uint8x16_t blocks[4];
      for (uint8x16_t& block : blocks) block = counter_block(iv, counter++);
      aes.encrypt4(blocks);
      for (uint32_t i = 0; i < 4; ++i) vst1q_u8(&cipher[at + 16 * i], veorq_u8(blocks[i], vld1q_u8(&plain[at + 16 * i])));
    }
  }
  return digest(cipher.data(), cipher.size());
}

void sha256_blocks_crypto(Sha256State& state, const uint8_t* data, uint64_t blocks) {
  uint32x4_t abcd = vld1q_u32(state.data()), efgh = vld1q_u32(state.data() + 4);
  for (; blocks > 0; --blocks, data += kSha256Block) {
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
    for (int i = 0; i < 16; ++i) {
      const uint32x4_t sum = vaddq_u32(w[i % 4], vld1q_u32(&kSha256Rounds[4 * i]));
      if (i < 12) w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]), w[(i + 2) % 4], w[(i + 3) % 4]);
      const uint32x4_t before = abcd;
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, before, sum);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state.data(), abcd);
  vst1q_u32(state.data() + 4, efgh);
}

void prepare_sha256() {
  prepare();
  Sha256State portable = kSha256Initial, crypto = kSha256Initial;
  sha256_blocks(portable, plain.data(), 3);
  sha256_blocks_crypto(crypto, plain.data(), 3);
  if (portable != crypto) fail("SHA256H does not match FIPS 180-4");
}

uint64_t run_sha256(uint64_t iterations) {
  Sha256State state = kSha256Initial;
  for (uint64_t i = 0; i < iterations; ++i) sha256_blocks_crypto(state, plain.data(), kRecord / kSha256Block);
  return digest(state.data(), sizeof(state));
}

uint64_t run_sha1(uint64_t iterations) {
  uint32x4_t abcd = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  uint32_t e = 0xc3d2e1f0;
  static constexpr std::array<uint32_t, 4> constants = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
  for (uint64_t round = 0; round < iterations; ++round) {
    for (const uint8_t* data = plain.data(); data < plain.data() + kRecord; data += 64) {
      const uint32x4_t abcd_before = abcd;
      const uint32_t e_before = e;
      uint32x4_t w[4];
      for (int i = 0; i < 4; ++i) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
      for (int i = 0; i < 20; ++i) {
        const uint32x4_t sum = vaddq_u32(w[i % 4], vdupq_n_u32(constants[i / 5]));
        const uint32_t next_e = vsha1h_u32(vgetq_lane_u32(abcd, 0));
        if (i < 5) {
          abcd = vsha1cq_u32(abcd, e, sum);
        } else if (i >= 10 && i < 15) {
          abcd = vsha1mq_u32(abcd, e, sum);
        } else {
          abcd = vsha1pq_u32(abcd, e, sum);
        }
        e = next_e;
        if (i < 16) w[i % 4] = vsha1su1q_u32(vsha1su0q_u32(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4]), w[(i + 3) % 4]);
      }
      abcd = vaddq_u32(abcd, abcd_before);
      e += e_before;
    }
  }
  return digest(&abcd, sizeof(abcd), e);
}

uint64_t run_crc32(uint64_t iterations) {
  uint32_t crc = ~0u;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t at = 0; at < kRecord; at += 8) {
      uint64_t word;
      std::memcpy(&word, &plain[at], 8);
      crc = __crc32d(crc, word);
    }
  }
  return crc;
}

}  // namespace

std::span<const Benchmark> crypto_benchmarks() {
  static const Benchmark all[] = {
      {"crypto.aes128_gcm", "MB/s", kRecord, run_gcm, prepare_gcm, have_aes},
      {"crypto.aes128_ctr", "MB/s", kRecord, run_ctr, prepare, have_aes},
      {"crypto.sha256", "MB/s", kRecord, run_sha256, prepare_sha256, have_sha2},
      {"crypto.sha1", "MB/s", kRecord, run_sha1, prepare, have_sha1},
      {"crypto.crc32", "MB/s", kRecord, run_crc32, prepare, have_crc32},
  };
  return all;
}

}  // namespace adyton::bench
