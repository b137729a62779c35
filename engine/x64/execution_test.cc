// Emitted code that runs: from memory that is mapped twice, writable in one place and executable in another.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "base/mapping.h"
#include "base/unique_fd.h"
#include "engine/x64/assembler.h"
#include "engine/x64/host_features.h"

namespace adyton::engine::x64 {
namespace {

using enum Gpr;
using enum Xmm;
constexpr Width k32 = Width::k32;
constexpr Width k64 = Width::k64;

using Vector = std::array<uint32_t, 4>;

class Execution : public ::testing::Test {
 protected:
  static constexpr size_t kSize = 64 * 1024;

  void SetUp() override {
    const auto features = HostFeatures::detect();
    if (!features) GTEST_SKIP() << features.error().message;
    features_ = *features;
    UniqueFd fd(memfd_create("code", MFD_CLOEXEC));
    ASSERT_TRUE(fd.valid());
    ASSERT_EQ(ftruncate(fd.get(), kSize), 0);
    auto writable = Mapping::shared(fd.get(), kSize, PROT_READ | PROT_WRITE);
    auto executable = Mapping::shared(fd.get(), kSize, PROT_READ | PROT_EXEC);
    ASSERT_TRUE(writable && executable);
    writable_ = std::move(*writable);
    executable_ = std::move(*executable);
    as_.reset(writable_.data(), writable_.data() + kSize, delta());
  }

  ptrdiff_t delta() const { return executable_.data() - writable_.data(); }

  // Emits a function and returns it. Arguments are in rdi, rsi, rdx, rcx (System V ABI); the body ends with ret.
  template <typename Function, typename Body>
  Function* emit(Body&& body) {
    as_.align(16);
    const uint8_t* entry = as_.exec_cursor();
    body(as_);
    EXPECT_FALSE(as_.failed());
    return reinterpret_cast<Function*>(const_cast<uint8_t*>(entry));
  }

  HostFeatures features_;
  Mapping writable_;
  Mapping executable_;
  Assembler as_{nullptr, nullptr, 0};
};

TEST_F(Execution, SumsAnArray) {
  auto* sum = emit<uint64_t(const uint64_t*, uint64_t)>([](Assembler& as) {
    Label loop, done;
    as.zero(rax);
    as.test(k64, rsi, rsi);
    as.jcc(Cond::e, done, Reach::kShort);
    as.bind(loop);
    as.add(k64, rax, mem(rdi, rsi, 8, -8));
    as.sub(k64, rsi, 1);
    as.jcc(Cond::ne, loop, Reach::kShort);
    as.bind(done);
    as.ret();
  });
  const uint64_t numbers[] = {1, 20, 300, 4000, UINT64_MAX};
  EXPECT_EQ(sum(numbers, 4), 4321u);
  EXPECT_EQ(sum(numbers, 5), 4320u);
  EXPECT_EQ(sum(numbers, 0), 0u);
}

uint64_t square_and_add(uint64_t a, uint64_t b) { return a * a + b; }

TEST_F(Execution, CallsAndJumps) {
  auto* helper = emit<uint64_t(uint64_t)>([](Assembler& as) {
    as.lea(k64, rax, mem(rdi, rdi, 2));
    as.ret();
  });
  auto* direct = emit<uint64_t(uint64_t)>([&](Assembler& as) {
    as.call(reinterpret_cast<const void*>(helper));
    as.inc(k64, rax);
    as.ret();
  });
  EXPECT_EQ(direct(14), 43u);
  auto* into_cpp = emit<uint64_t(uint64_t, uint64_t)>([](Assembler& as) {
    as.mov_imm64(rax, reinterpret_cast<uintptr_t>(&square_and_add));
    as.jmp(rax);
  });
  EXPECT_EQ(into_cpp(5, 6), 31u);
  auto* by_table = emit<uint64_t(uint64_t)>([](Assembler& as) {
    Label first;
    as.lea(rcx, first);
    as.shl(k64, rdi, 4);
    as.add(k64, rcx, rdi);
    as.jmp(rcx);
    as.align(16);
    as.bind(first);
    for (uint64_t value : {100, 200, 300}) {
      as.mov_imm64(rax, value);
      as.ret();
      as.align(16);
    }
  });
  EXPECT_EQ(by_table(0), 100u);
  EXPECT_EQ(by_table(1), 200u);
  EXPECT_EQ(by_table(2), 300u);
}

TEST_F(Execution, PatchesAJumpThatIsExecuting) {
  uint8_t* field = nullptr;
  const uint8_t* second = nullptr;
  auto* function = emit<uint64_t()>([&](Assembler& as) {
    Label first;
    field = as.jmp_rel32_aligned(first);
    as.bind(first);
    as.mov_imm64(rax, 1);
    as.ret();
    second = as.exec_cursor();
    as.mov_imm64(rax, 2);
    as.ret();
  });
  std::atomic<bool> running = false;
  uint64_t other = 0;
  std::thread thread([&] {
    do {
      const uint64_t result = function();
      if (result == 1)
        running = true;
      else
        other = result;
    } while (other == 0);
  });
  while (!running) std::this_thread::yield();
  Emitter::patch_rel32(field, delta(), second);
  thread.join();
  EXPECT_EQ(other, 2u);
  EXPECT_EQ(Emitter::read_rel32(field, delta()), second);
}

TEST_F(Execution, WideArithmetic) {
  using Wide = unsigned __int128;
  auto* add = emit<void(Wide*, const Wide*)>([](Assembler& as) {
    as.mov(k64, rax, mem(rsi));
    as.mov(k64, rcx, mem(rsi, 8));
    as.add(k64, mem(rdi), rax);
    as.adc(k64, mem(rdi, 8), rcx);
    as.ret();
  });
  auto* multiply = emit<void(Wide*, uint64_t, uint64_t)>([](Assembler& as) {
    as.mulx(k64, rcx, rax, rsi);
    as.mov(k64, mem(rdi), rax);
    as.mov(k64, mem(rdi, 8), rcx);
    as.ret();
  });
  auto* funnel = emit<uint64_t(uint64_t, uint64_t)>([](Assembler& as) {
    as.mov(k64, rax, rdi);
    as.shrd(k64, rax, rsi, 20);
    as.ret();
  });
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t a = random(), b = random(), c = random(), d = random();
    Wide x = Wide{a} << 64 | b;
    const Wide y = Wide{c} << 64 | d;
    const Wide sum = x + y;
    add(&x, &y);
    ASSERT_TRUE(x == sum);
    multiply(&x, a, b);
    ASSERT_TRUE(x == Wide{a} * b);
    ASSERT_EQ(funnel(a, b), a >> 20 | b << 44);
  }
}

TEST_F(Execution, ExtensionsAndConditions) {
  auto* sign = emit<int64_t(uint64_t)>([](Assembler& as) {
    as.movsx(Width::k8, k64, rax, rdi);  // dil: only with REX
    as.ret();
  });
  EXPECT_EQ(sign(0x1280), -128);
  auto* maximum = emit<int64_t(int64_t, int64_t)>([](Assembler& as) {
    as.mov(k64, rax, rdi);
    as.cmp(k64, rdi, rsi);
    as.cmov(k64, invert(Cond::g), rax, rsi);
    as.ret();
  });
  EXPECT_EQ(maximum(-3, 2), 2);
  EXPECT_EQ(maximum(4, -9), 4);
  auto* flags_survive = emit<uint64_t(uint64_t)>([](Assembler& as) {
    as.cmp(k64, rdi, 7);
    as.mov_imm64(rax, 0);  // must not touch the flags
    as.mov_imm64(rcx, UINT64_MAX);
    as.setcc(Cond::e, rax);
    as.ret();
  });
  EXPECT_EQ(flags_survive(7), 1u);
  EXPECT_EQ(flags_survive(8), 0u);
}

TEST_F(Execution, AtomicsCountExactly) {
  auto* increment = emit<void(uint64_t*, uint64_t)>([](Assembler& as) {
    Label loop;
    as.bind(loop);
    as.mov_imm64(rax, 1);
    as.lock_xadd(k64, mem(rdi), rax);
    as.lock_add(k64, mem(rdi, 8), 1);
    as.dec(k64, rsi);
    as.jcc(Cond::ne, loop);
    as.ret();
  });
  alignas(16) uint64_t counters[2] = {};
  std::thread thread([&] { increment(counters, 100'000); });
  increment(counters, 100'000);
  thread.join();
  EXPECT_EQ(counters[0], 200'000u);
  EXPECT_EQ(counters[1], 200'000u);

  auto* swap_pair = emit<uint64_t(uint64_t*, uint64_t, uint64_t)>([](Assembler& as) {  // {old, old} -> {new, new}
    as.push(rbx);
    as.mov(k64, rbx, rdx);
    as.mov(k64, rcx, rdx);
    as.mov(k64, rax, rsi);
    as.mov(k64, rdx, rsi);
    as.lock_cmpxchg16b(mem(rdi));
    as.setcc(Cond::e, rax);
    as.movzx(Width::k8, rax, rax);
    as.pop(rbx);
    as.ret();
  });
  EXPECT_EQ(swap_pair(counters, 200'000, 5), 1u);
  EXPECT_EQ(swap_pair(counters, 200'000, 6), 0u);
  EXPECT_EQ(counters[0], 5u);
  EXPECT_EQ(counters[1], 5u);
}

TEST_F(Execution, Vectors) {
  auto* reverse_bytes = emit<void(Vector*, const Vector*)>([](Assembler& as) {
    as.vmovdqu(xmm9, mem(rsi));
    as.vpshufb(xmm10, xmm9, mem(rdi));
    as.vmovdqu(mem(rdi), xmm10);
    as.ret();
  });
  Vector order = {0x0C0D0E0F, 0x08090A0B, 0x04050607, 0x00010203};
  const Vector source = {0x03020100, 0x07060504, 0x0B0A0908, 0x0F0E0D0C};
  const Vector reversed = {0x0C0D0E0F, 0x08090A0B, 0x04050607, 0x00010203};
  reverse_bytes(&order, &source);
  EXPECT_EQ(order, reversed);

  auto* blend_and_shift = emit<void(Vector*, const Vector*)>([](Assembler& as) {
    as.vmovdqu(xmm0, mem(rdi));
    as.vmovdqu(xmm1, mem(rsi));
    as.vpsrad(xmm2, xmm0, 31);
    as.vpblendvb(xmm3, xmm0, xmm1, xmm2);  // negative lanes of the first come from the second
    as.vpslld(xmm3, xmm3, 4);
    as.vmovdqu(mem(rdi), xmm3);
    as.ret();
  });
  Vector lanes = {1, 0x80000000, 3, 0xFFFFFFFF};
  blend_and_shift(&lanes, &source);
  EXPECT_EQ(lanes, (Vector{0x10, 0x70605040, 0x30, 0xF0E0D0C0}));
}

TEST_F(Execution, FloatingPoint) {
  auto* fused = emit<double(double, double, double)>([](Assembler& as) {
    as.vfmadd213sd(xmm0, xmm1, xmm2);
    as.ret();
  });
  auto* to_integer = emit<int64_t(double)>([](Assembler& as) {
    as.vcvttsd2si(k64, rax, xmm0);
    as.ret();
  });
  auto* from_integer = emit<float(int64_t)>([](Assembler& as) {
    as.vcvtsi2ss(k64, xmm0, xmm0, rdi);
    as.ret();
  });
  auto* less = emit<uint64_t(double, double)>([](Assembler& as) {
    as.zero(rax);
    as.vucomisd(xmm1, xmm0);
    as.setcc(Cond::a, rax);
    as.ret();
  });
  const double a = 1.0 + 0x1p-30;
  EXPECT_EQ(fused(a, a, -1.0), std::fma(a, a, -1.0));
  EXPECT_NE(fused(a, a, -1.0), a * a - 1.0);
  EXPECT_EQ(to_integer(-1e15 - 0.75), -1'000'000'000'000'000);
  EXPECT_EQ(from_integer(-(int64_t{1} << 40)), -0x1p40F);
  EXPECT_EQ(less(1.0, 2.0), 1u);
  EXPECT_EQ(less(2.0, 1.0), 0u);
  EXPECT_EQ(less(NAN, 1.0), 0u);
}

TEST_F(Execution, CarrylessProductAndAes) {
  auto* product = emit<void(Vector*)>([](Assembler& as) {
    as.vmovdqu(xmm8, mem(rdi));
    as.vpclmulqdq(xmm9, xmm8, xmm8, 0x10);  // low half by high half
    as.vmovdqu(mem(rdi), xmm9);
    as.ret();
  });
  Vector operands = {0b101, 0, 0b11, 0};
  product(&operands);
  EXPECT_EQ(operands, (Vector{0b1111, 0, 0, 0}));

  auto* there_and_back = emit<void(Vector*)>([](Assembler& as) {
    as.vmovdqu(xmm1, mem(rdi));
    as.vpxor(xmm2, xmm2, xmm2);
    as.vaesenclast(xmm1, xmm1, xmm2);
    as.vaesdeclast(xmm1, xmm1, xmm2);
    as.vmovdqu(mem(rdi), xmm1);
    as.ret();
  });
  Vector text = {0x01234567, 0x89ABCDEF, 0xDEADBEEF, 0x0BADF00D};
  const Vector copy = text;
  there_and_back(&text);
  EXPECT_EQ(text, copy);
}

TEST_F(Execution, Avx512WhereThereIsSome) {
  if (!features_.avx512vl || !features_.avx512dq) GTEST_SKIP() << "no AVX-512VL and DQ";
  auto* select = emit<void(Vector*, const Vector*, const Vector*)>([](Assembler& as) {
    as.vmovdqu(xmm11, mem(rdi));
    as.vmovdqu(xmm12, mem(rsi, 16));
    as.vpternlogd_avx512(xmm11, xmm12, mem(rdx, 32), 0xCA);  // first ? second : third, bit by bit; disp8 counts in 16 bytes
    as.vmovdqu(mem(rdi), xmm11);
    as.ret();
  });
  Vector mask = {0xFFFF0000, 0x0F0F0F0F, 0, 0xFFFFFFFF};
  const Vector ones[2] = {{}, {0x11111111, 0x11111111, 0x11111111, 0x11111111}};
  const Vector twos[3] = {{}, {}, {0x22222222, 0x22222222, 0x22222222, 0x22222222}};
  select(&mask, ones, twos);
  EXPECT_EQ(mask, (Vector{0x11112222, 0x21212121, 0x22222222, 0x11111111}));

  auto* from_unsigned = emit<double(uint64_t)>([](Assembler& as) {
    as.vcvtusi2sd_avx512(k64, xmm0, xmm0, rdi);
    as.ret();
  });
  EXPECT_EQ(from_unsigned(UINT64_MAX), 0x1p64);
  auto* to_unsigned = emit<uint64_t(double)>([](Assembler& as) {
    as.vcvttsd2usi_avx512(k64, rax, xmm0);
    as.ret();
  });
  EXPECT_EQ(to_unsigned(0x1.8p63), 0xC000000000000000u);
}

}  // namespace
}  // namespace adyton::engine::x64
