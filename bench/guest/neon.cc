// AdvSIMD kernels of the kind that codecs and image code are made of, by intrinsics.
#include <arm_neon.h>

#include <array>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

constexpr uint32_t kSize = 16 << 10;
alignas(16) std::array<uint8_t, kSize * 3> source;
alignas(16) std::array<uint8_t, kSize * 3> target;

void prepare() {
  Random random(31);
  for (uint8_t& byte : source) byte = static_cast<uint8_t>(random.next() >> 40);
  target.fill(0);
}

// Sum of absolute differences, as motion search computes it.
uint64_t run_sad(uint64_t iterations) {
  uint64_t total = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    const uint32_t shift = round % 15 + 1;
    for (uint32_t block = 0; block + 256 + 16 <= kSize; block += 256) {
      uint16x8_t low = vdupq_n_u16(0), high = vdupq_n_u16(0);
      for (uint32_t i = 0; i < 256; i += 16) {
        const uint8x16_t a = vld1q_u8(&source[block + i]), b = vld1q_u8(&source[block + i + shift]);
        low = vabal_u8(low, vget_low_u8(a), vget_low_u8(b));
        high = vabal_high_u8(high, a, b);
      }
      total += vaddlvq_u16(vaddq_u16(low, high));
    }
  }
  return total;
}

// A three-tap blur with rounding, widening and narrowing.
uint64_t run_blur(uint64_t iterations) {
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t i = 16; i + 32 <= kSize; i += 16) {
      const uint8x16_t left = vld1q_u8(&source[i - 1]), middle = vld1q_u8(&source[i]), right = vld1q_u8(&source[i + 1]);
      const uint16x8_t low = vaddq_u16(vaddl_u8(vget_low_u8(left), vget_low_u8(right)), vshll_n_u8(vget_low_u8(middle), 1));
      const uint16x8_t high = vaddq_u16(vaddl_high_u8(left, right), vshll_high_n_u8(middle, 1));
      vst1q_u8(&target[i], vcombine_u8(vrshrn_n_u16(low, 2), vrshrn_n_u16(high, 2)));
    }
  }
  return digest(target.data(), kSize);
}

// Colour to grey: structure loads, widening multiplies, narrowing shifts.
uint64_t run_grey(uint64_t iterations) {
  const uint8x8_t red = vdup_n_u8(77), green = vdup_n_u8(150), blue = vdup_n_u8(29);
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t i = 0; i < kSize; i += 8) {
      const uint8x8x3_t pixel = vld3_u8(&source[3 * i]);
      uint16x8_t sum = vmull_u8(pixel.val[0], red);
      sum = vmlal_u8(sum, pixel.val[1], green);
      sum = vmlal_u8(sum, pixel.val[2], blue);
      vst1_u8(&target[i], vqrshrn_n_u16(sum, 8));
    }
  }
  return digest(target.data(), kSize);
}

// Hexadecimal digits by table lookup and interleaving.
uint64_t run_hex(uint64_t iterations) {
  static const uint8_t digits[17] = "0123456789abcdef";
  const uint8x16_t table = vld1q_u8(digits), mask = vdupq_n_u8(15);
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t i = 0; i < kSize; i += 16) {
      const uint8x16_t bytes = vld1q_u8(&source[i]);
      const uint8x16x2_t text = {{vqtbl1q_u8(table, vshrq_n_u8(bytes, 4)), vqtbl1q_u8(table, vandq_u8(bytes, mask))}};
      vst2q_u8(&target[2 * i], text);
    }
  }
  return digest(target.data(), 2 * kSize);
}

// A sixteen-tap FIR filter in fixed point.
uint64_t run_fir(uint64_t iterations) {
  static const int16_t taps[16] = {3, -9, 20, -38, 70, -128, 310, 1020, 1020, 310, -128, 70, -38, 20, -9, 3};
  const int16x8_t low_taps = vld1q_s16(taps), high_taps = vld1q_s16(taps + 8);
  const auto* samples = reinterpret_cast<const int16_t*>(source.data());
  auto* filtered = reinterpret_cast<int16_t*>(target.data());
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t i = 0; i < 2048; ++i) {
      const int16x8_t a = vld1q_s16(samples + i), b = vld1q_s16(samples + i + 8);
      int32x4_t total = vmull_s16(vget_low_s16(a), vget_low_s16(low_taps));
      total = vmlal_high_s16(total, a, low_taps);
      total = vmlal_s16(total, vget_low_s16(b), vget_low_s16(high_taps));
      total = vmlal_high_s16(total, b, high_taps);
      filtered[i] = vqrshrns_n_s32(vaddvq_s32(total), 11);
    }
    sum += static_cast<uint16_t>(filtered[round % 2048]);
  }
  return sum;
}

// Byte matrix transposition by zips and transposes.
uint64_t run_transpose(uint64_t iterations) {
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t tile = 0; tile + 64 <= kSize; tile += 64) {
      uint8x8_t row[8];
      for (uint32_t i = 0; i < 8; ++i) row[i] = vld1_u8(&source[tile + 8 * i]);
      uint8x8_t step[8];
      for (uint32_t i = 0; i < 8; i += 2) {
        step[i] = vtrn1_u8(row[i], row[i + 1]);
        step[i + 1] = vtrn2_u8(row[i], row[i + 1]);
      }
      uint16x4_t pair[8];
      for (uint32_t i = 0; i < 8; i += 4) {
        for (uint32_t k = 0; k < 2; ++k) {
          const uint16x4_t a = vreinterpret_u16_u8(step[i + k]), b = vreinterpret_u16_u8(step[i + k + 2]);
          pair[i + k] = vtrn1_u16(a, b);
          pair[i + k + 2] = vtrn2_u16(a, b);
        }
      }
      for (uint32_t k = 0; k < 4; ++k) {
        const uint32x2_t a = vreinterpret_u32_u16(pair[k]), b = vreinterpret_u32_u16(pair[k + 4]);
        vst1_u8(&target[tile + 8 * k], vreinterpret_u8_u32(vtrn1_u32(a, b)));
        vst1_u8(&target[tile + 8 * (k + 4)], vreinterpret_u8_u32(vtrn2_u32(a, b)));
      }
    }
  }
  return digest(target.data(), kSize);
}

// y = a x + y, fused, in single precision.
uint64_t run_saxpy(uint64_t iterations) {
  static std::array<float, 2048> x, y;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i % 13) * 0.31f;
    y[i] = static_cast<float>(i % 7);
  }
  const float32x4_t factor = vdupq_n_f32(0.001f);
  for (uint64_t round = 0; round < iterations; ++round) {
    for (size_t i = 0; i < x.size(); i += 4) vst1q_f32(&y[i], vfmaq_f32(vld1q_f32(&y[i]), vld1q_f32(&x[i]), factor));
  }
  return digest(y.data(), sizeof(y));
}

// The dot product and the greatest element of doubles.
uint64_t run_dot(uint64_t iterations) {
  static std::array<double, 1024> x;
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i * 37 % 101) * 0.173;
  double result = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    float64x2_t sum = vdupq_n_f64(0), greatest = sum;
    for (size_t i = 0; i < x.size(); i += 2) {
      const float64x2_t value = vld1q_f64(&x[i]);
      sum = vfmaq_f64(sum, value, value);
      greatest = vmaxq_f64(greatest, value);
    }
    x[round % x.size()] = x[(round + 1) % x.size()] * 0.999;
    result += vaddvq_f64(sum) + vmaxvq_f64(greatest);
  }
  return digest(&result, sizeof(result));
}

}  // namespace

std::span<const Benchmark> neon_benchmarks() {
  static const Benchmark all[] = {
      {"neon.sad", "MB/s", kSize, run_sad, prepare},       {"neon.blur", "MB/s", kSize, run_blur, prepare},
      {"neon.grey", "MB/s", kSize * 3, run_grey, prepare}, {"neon.hex", "MB/s", kSize, run_hex, prepare},
      {"neon.fir", "MB/s", 4096, run_fir, prepare},        {"neon.transpose", "MB/s", kSize, run_transpose, prepare},
      {"neon.saxpy_f32", "MB/s", 2048 * 4, run_saxpy},     {"neon.dot_f64", "MB/s", 1024 * 8, run_dot},
  };
  return all;
}

}  // namespace adyton::bench
