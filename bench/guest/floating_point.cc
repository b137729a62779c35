// Floating point as ordinary programs do it. Compiled at -O3, so that the compiler vectorises what it can.
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

uint64_t digest_of(double value) { return digest(&value, sizeof(value)); }

struct Body {
  double x, y, z, vx, vy, vz, mass;
};

uint64_t run_nbody(uint64_t iterations) {
  std::array<Body, 5> bodies = {{{0, 0, 0, 0, 0, 0, 39.4},
                                 {4.8, -1.1, -0.1, 0.6, 2.8, -0.02, 0.037},
                                 {8.3, 4.1, -0.4, -1.01, 1.8, 0.008, 0.011},
                                 {12.9, -15.1, -0.2, 1.08, 0.86, -0.01, 0.0017},
                                 {15.4, -25.9, 0.18, 0.97, 0.59, -0.03, 0.002}}};
  for (uint64_t step = 0; step < iterations * 10; ++step) {
    for (size_t i = 0; i < bodies.size(); ++i) {
      for (size_t j = i + 1; j < bodies.size(); ++j) {
        Body &a = bodies[i], &b = bodies[j];
        const double dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z;
        const double distance2 = dx * dx + dy * dy + dz * dz;
        const double magnitude = 0.001 / (distance2 * std::sqrt(distance2));
        a.vx -= dx * b.mass * magnitude;
        a.vy -= dy * b.mass * magnitude;
        a.vz -= dz * b.mass * magnitude;
        b.vx += dx * a.mass * magnitude;
        b.vy += dy * a.mass * magnitude;
        b.vz += dz * a.mass * magnitude;
      }
    }
    for (Body& body : bodies) {
      body.x += 0.001 * body.vx;
      body.y += 0.001 * body.vy;
      body.z += 0.001 * body.vz;
    }
  }
  return digest(bodies.data(), sizeof(bodies));
}

constexpr int kMatrix = 64;

template <typename T>
uint64_t run_matmul(uint64_t iterations) {
  static std::array<T, kMatrix * kMatrix> a, b, c;
  for (int i = 0; i < kMatrix * kMatrix; ++i) {
    a[i] = static_cast<T>(i % 7) / T{3};
    b[i] = static_cast<T>(i % 5) / T{7};
  }
  for (uint64_t round = 0; round < iterations; ++round) {
    c.fill(0);
    for (int i = 0; i < kMatrix; ++i) {
      for (int k = 0; k < kMatrix; ++k) {
        const T factor = a[i * kMatrix + k];
        for (int j = 0; j < kMatrix; ++j) c[i * kMatrix + j] += factor * b[k * kMatrix + j];
      }
    }
    a[round % a.size()] += T{1};
  }
  return digest(c.data(), sizeof(c));
}

constexpr int kFftSize = 1024;

uint64_t run_fft(uint64_t iterations) {
  static std::array<std::complex<double>, kFftSize> data, roots;
  for (int i = 0; i < kFftSize; ++i) {
    const double angle = -2 * std::numbers::pi * i / kFftSize;
    roots[i] = {std::cos(angle), std::sin(angle)};
    data[i] = {static_cast<double>(i % 17), static_cast<double>(i % 5) * 0.25};
  }
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint32_t i = 0; i < kFftSize; ++i) {
      uint32_t reversed = 0;
      for (int bit = 0; bit < 10; ++bit) reversed |= (i >> bit & 1) << (9 - bit);
      if (i < reversed) std::swap(data[i], data[reversed]);
    }
    for (int length = 2; length <= kFftSize; length *= 2) {
      for (int start = 0; start < kFftSize; start += length) {
        for (int k = 0; k < length / 2; ++k) {
          const std::complex<double> root = roots[k * (kFftSize / length)];
          const std::complex<double> even = data[start + k], odd = data[start + k + length / 2];
          const std::complex<double> turned = {root.real() * odd.real() - root.imag() * odd.imag(),
                                               root.real() * odd.imag() + root.imag() * odd.real()};
          data[start + k] = even + turned;
          data[start + k + length / 2] = even - turned;
        }
      }
    }
    for (auto& value : data) value *= 1.0 / 32;  // keeps the energy constant
  }
  return digest(data.data(), sizeof(data));
}

uint64_t run_mandelbrot(uint64_t iterations) {
  uint64_t inside = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (int py = 0; py < 16; ++py) {
      for (int px = 0; px < 16; ++px) {
        const double cx = -2 + px * (3.0 / 16), cy = -1.2 + py * (2.4 / 16);
        double x = 0, y = 0;
        int step = 0;
        while (step < 100 && x * x + y * y < 4) {
          const double next = x * x - y * y + cx;
          y = 2 * x * y + cy;
          x = next;
          ++step;
        }
        inside += static_cast<uint64_t>(step);
      }
    }
  }
  return inside;
}

uint64_t run_polynomial(uint64_t iterations) {
  double sum = 0, x = 0.5;
  for (uint64_t i = 0; i < iterations * 100; ++i) {
    double p = 1;
    for (int k = 0; k < 8; ++k) p = p * x + 0.1 * k;
    sum += p / (1 + x * x);
    x = x * 0.999 + 0.0003;
    if (p > 3) x *= 0.5;
  }
  return digest_of(sum);
}

uint64_t run_libm(uint64_t iterations) {
  double sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    double x = 0.1;
    for (int i = 0; i < 32; ++i) {
      sum += std::sin(x) + std::exp(-x) * std::log(x + 1) + std::pow(x, 0.3) + std::atan2(x, 2.0);
      x += 0.37;
    }
  }
  return digest_of(sum);
}

// Conversions and roundings between integers, single and double precision.
uint64_t run_convert(uint64_t iterations) {
  static std::array<float, 256> floats;
  static std::array<int32_t, 256> integers;
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i) * 1.37f - 100.f;
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (size_t i = 0; i < floats.size(); ++i) integers[i] = static_cast<int32_t>(floats[i]);
    for (size_t i = 0; i < floats.size(); ++i) {
      double wide = static_cast<double>(floats[i]);
      keep(wide);
      sum +=
          static_cast<uint64_t>(static_cast<int64_t>(std::floor(wide)) + std::lrint(wide)) + static_cast<uint64_t>(integers[i]);
    }
    for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(integers[i]) + 0.63f;
  }
  return sum;
}

// A three by three filter over an image of single precision values.
uint64_t run_stencil(uint64_t iterations) {
  constexpr int kSize = 64;
  static std::array<float, kSize * kSize> in, out;
  for (int i = 0; i < kSize * kSize; ++i) in[i] = static_cast<float>(i % 29);
  for (uint64_t round = 0; round < iterations; ++round) {
    const float* from = round % 2 ? out.data() : in.data();
    float* to = round % 2 ? in.data() : out.data();
    for (int y = 1; y < kSize - 1; ++y) {
      for (int x = 1; x < kSize - 1; ++x) {
        const float* c = from + y * kSize + x;
        to[y * kSize + x] = 0.25f * c[0] + 0.125f * (c[-1] + c[1] + c[-kSize] + c[kSize]) +
                            0.0625f * (c[-kSize - 1] + c[-kSize + 1] + c[kSize - 1] + c[kSize + 1]);
      }
    }
  }
  return digest(out.data(), sizeof(out));
}

// Gaussian elimination with partial pivoting: divisions, comparisons, absolute values.
uint64_t run_solve(uint64_t iterations) {
  constexpr int kSize = 24;
  uint64_t result = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    Random random(round % 8 + 21);
    std::array<std::array<double, kSize + 1>, kSize> m;
    for (auto& row : m) {
      for (double& value : row) value = static_cast<double>(random.below(2000)) / 1000 - 1;
    }
    for (int i = 0; i < kSize; ++i) {
      int pivot = i;
      for (int r = i + 1; r < kSize; ++r) {
        if (std::fabs(m[r][i]) > std::fabs(m[pivot][i])) pivot = r;
      }
      std::swap(m[i], m[pivot]);
      for (int r = i + 1; r < kSize; ++r) {
        const double factor = m[r][i] / m[i][i];
        for (int c = i; c <= kSize; ++c) m[r][c] -= factor * m[i][c];
      }
    }
    double x = m[kSize - 1][kSize] / m[kSize - 1][kSize - 1];
    result ^= digest_of(x);
  }
  return result;
}

}  // namespace

std::span<const Benchmark> float_benchmarks() {
  static const Benchmark all[] = {
      {"fp.nbody", "ns", 100, run_nbody},  // pairs
      {"fp.matmul_f64", "ns", kMatrix * kMatrix * kMatrix, run_matmul<double>},
      {"fp.matmul_f32", "ns", kMatrix * kMatrix * kMatrix, run_matmul<float>},
      {"fp.fft", "ns", kFftSize / 2 * 10, run_fft},  // butterflies
      {"fp.mandelbrot", "ns", 256, run_mandelbrot},
      {"fp.polynomial", "ns", 100, run_polynomial},
      {"fp.libm", "ns", 32 * 5, run_libm},
      {"fp.convert", "ns", 256, run_convert},
      {"fp.stencil_f32", "ns", 62 * 62, run_stencil},
      {"fp.solve", "ns", 24 * 24 * 24 / 3, run_solve},
  };
  return all;
}

}  // namespace adyton::bench
