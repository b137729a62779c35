#include "engine/x64/control_assembler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/x64/instruction_text.h"

namespace adyton::engine::x64 {
namespace {

// A buffer between two guards that must never change.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t size) : bytes_(size + 2 * kGuard, kPattern) {}
  uint8_t* begin() { return bytes_.data() + kGuard; }
  uint8_t* end() { return bytes_.data() + bytes_.size() - kGuard; }
  bool guards_intact() const {
    const auto untouched = [](uint8_t byte) { return byte == kPattern; };
    return std::all_of(bytes_.begin(), bytes_.begin() + kGuard, untouched) &&
           std::all_of(bytes_.end() - kGuard, bytes_.end(), untouched);
  }

 private:
  static constexpr ptrdiff_t kGuard = 256;
  static constexpr uint8_t kPattern = 0xA5;
  std::vector<uint8_t> bytes_;
};

int32_t rel32_at(const uint8_t* field) {
  int32_t value;
  std::memcpy(&value, field, sizeof value);
  return value;
}

TEST(ControlAssembler, IndirectAndBare) {
  InstructionChecker checker;
  for (Gpr reg : all_gprs()) {
    checker.expect(fmt::format("jmp {}", text(reg, Width::k64)), [&](auto& as) { as.jmp(reg); });
    checker.expect(fmt::format("call {}", text(reg, Width::k64)), [&](auto& as) { as.call(reg); });
  }
  for (const Mem& m : interesting_mems()) {
    checker.expect(fmt::format("jmp {}", text(m, Width::k64)), [&](auto& as) { as.jmp(m); });
    checker.expect(fmt::format("call {}", text(m, Width::k64)), [&](auto& as) { as.call(m); });
  }
  checker.expect("ret", [](auto& as) { as.ret(); });
}

TEST(ControlAssembler, ManyForwardJumpsMeetAtTheLabel) {
  GuardedBuffer buffer(4096);
  Assembler as(buffer.begin(), buffer.end(), 0);
  Label label;
  std::vector<uint8_t*> fields;
  for (int i = 0; i < 50; ++i) {
    switch (i % 4) {
      case 0: as.jmp(label); break;
      case 1: as.jcc(Cond::ne, label); break;
      case 2: as.call(label); break;
      default: as.lea(Gpr::r9, label); break;
    }
    fields.push_back(as.cursor() - 4);
    as.nop(static_cast<unsigned>(i));
  }
  EXPECT_TRUE(label.used());
  EXPECT_FALSE(label.bound());
  as.bind(label);
  EXPECT_TRUE(label.bound());
  EXPECT_FALSE(label.used());
  EXPECT_EQ(label.position(), as.cursor());
  for (uint8_t* field : fields) EXPECT_EQ(field + 4 + rel32_at(field), label.position());
  EXPECT_FALSE(as.failed());
}

TEST(ControlAssembler, BackwardJumps) {
  GuardedBuffer buffer(4096);
  Assembler as(buffer.begin(), buffer.end(), 0);
  Label label;
  as.nop(3);
  as.bind(label);
  as.jmp(label);
  EXPECT_EQ(as.cursor() - label.position(), 5);
  EXPECT_EQ(rel32_at(as.cursor() - 4), -5);
  as.jcc(Cond::g, label);
  EXPECT_EQ(as.cursor() - label.position(), 11);
  EXPECT_EQ(rel32_at(as.cursor() - 4), -11);
  as.jmp(label, Reach::kShort);
  EXPECT_EQ(as.cursor() - label.position(), 13);
  EXPECT_EQ(static_cast<int8_t>(as.cursor()[-1]), -13);
  as.nop(115 - 2);
  as.jcc(Cond::b, label, Reach::kShort);  // the last place from which rel8 reaches
  EXPECT_EQ(as.cursor() - label.position(), 128);
  EXPECT_EQ(static_cast<int8_t>(as.cursor()[-1]), -128);
  EXPECT_EQ(as.cursor()[-2], 0x72);
  as.jcc(Cond::b, label, Reach::kShort);
  EXPECT_EQ(as.cursor() - label.position(), 134);
  EXPECT_EQ(rel32_at(as.cursor() - 4), -134);
  EXPECT_FALSE(as.failed());
}

TEST(ControlAssembler, ShortForwardJumps) {
  GuardedBuffer buffer(4096);
  Assembler as(buffer.begin(), buffer.end(), 0);
  Label label;
  as.jmp(label, Reach::kShort);
  as.nop(60);
  as.jcc(Cond::s, label, Reach::kShort);
  as.jmp(label);  // both kinds may wait for one label
  as.nop(127 - 60 - 2 - 5);
  as.bind(label);
  EXPECT_FALSE(as.failed());
  EXPECT_EQ(buffer.begin()[0], 0xEB);
  EXPECT_EQ(buffer.begin()[1], 127);
  EXPECT_EQ(buffer.begin()[62], 0x78);
  EXPECT_EQ(buffer.begin()[63], 127 - 62);
  EXPECT_EQ(rel32_at(buffer.begin() + 65), 127 - 67);
}

TEST(ControlAssembler, ShortJumpThatIsTooLongIsAnError) {
  for (unsigned distance : {128u, 200u, 400u}) {
    GuardedBuffer buffer(4096);
    Assembler as(buffer.begin(), buffer.end(), 0);
    Label label;
    as.jmp(label, Reach::kShort);
    as.nop(distance);
    if (distance == 400) as.jmp(label, Reach::kShort);  // the link to the first one is already too long
    as.bind(label);
    EXPECT_TRUE(as.out_of_reach()) << distance;
    EXPECT_FALSE(as.overflowed());
    EXPECT_TRUE(as.failed());
  }
}

TEST(ControlAssembler, AbsoluteTargetsCountFromTheExecutableView) {
  GuardedBuffer buffer(4096);
  constexpr ptrdiff_t kDelta = 0x10'0000;
  Assembler as(buffer.begin(), buffer.end(), kDelta);
  EXPECT_EQ(as.exec_cursor(), buffer.begin() + kDelta);
  EXPECT_EQ(as.exec_delta(), kDelta);
  const uint8_t* target = buffer.begin() + kDelta + 0x4000;
  ASSERT_TRUE(as.reaches(target));
  const auto lands_on_target = [&] { return as.exec_cursor() + rel32_at(as.cursor() - 4) == target; };
  as.jmp(target);
  EXPECT_TRUE(lands_on_target());
  as.jcc(Cond::o, target);
  EXPECT_TRUE(lands_on_target());
  as.call(target);
  EXPECT_TRUE(lands_on_target());
  EXPECT_FALSE(as.failed());

  const uint8_t* far = buffer.begin() + kDelta + (int64_t{1} << 32);
  EXPECT_FALSE(as.reaches(far));
  as.call(far);
  EXPECT_TRUE(as.out_of_reach());
  as.reset(buffer.begin(), buffer.end(), 0);
  EXPECT_FALSE(as.failed());
}

TEST(ControlAssembler, PatchableFieldsAreAligned) {
  constexpr ptrdiff_t kDelta = 0x1000;
  for (unsigned offset = 0; offset < 8; ++offset) {
    GuardedBuffer buffer(4096);
    Assembler as(buffer.begin(), buffer.end(), kDelta);
    as.nop(offset);
    const uint8_t* first = buffer.begin() + kDelta + 0x200;
    const uint8_t* second = buffer.begin() + kDelta + 0x300;
    Label stub;
    uint8_t* to_address[] = {as.jmp_rel32_aligned(first), as.jcc_rel32_aligned(Cond::e, first), as.call_rel32_aligned(first)};
    uint8_t* to_label[] = {as.jmp_rel32_aligned(stub), as.jcc_rel32_aligned(Cond::e, stub)};
    as.bind(stub);
    for (uint8_t* field : to_address) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(field) % 4, 0u);
      EXPECT_EQ(Emitter::read_rel32(field, kDelta), first);
      Emitter::patch_rel32(field, kDelta, second);
      EXPECT_EQ(Emitter::read_rel32(field, kDelta), second);
    }
    for (uint8_t* field : to_label) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(field) % 4, 0u);
      EXPECT_EQ(Emitter::read_rel32(field, kDelta), stub.position() + kDelta);
    }
  }
}

TEST(Emitter, NopsHaveTheirLength) {
  for (unsigned length = 1; length <= 9; ++length) {
    GuardedBuffer buffer(128);
    Assembler as(buffer.begin(), buffer.end(), 0);
    as.nop(length);
    EXPECT_EQ(as.cursor() - buffer.begin(), length);
    EXPECT_TRUE(decode({buffer.begin(), as.cursor()}).starts_with("nop")) << length;
  }
}

TEST(Emitter, AlignsTheExecutableAddress) {
  GuardedBuffer buffer(4096);
  for (ptrdiff_t delta : {0, 3, -5}) {
    Assembler as(buffer.begin(), buffer.end(), delta);
    as.nop(1);
    for (unsigned alignment : {1, 2, 16, 64, 1024}) {
      as.align(alignment);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(as.exec_cursor()) % alignment, 0u);
      as.nop(1);
    }
    EXPECT_FALSE(as.overflowed());
  }
}

TEST(Emitter, Data) {
  GuardedBuffer buffer(128);
  Assembler as(buffer.begin(), buffer.end(), 0);
  as.emit8(1);
  as.emit16(0x0302);
  as.emit32(0x07060504);
  as.emit64(0x0F0E0D0C0B0A0908);
  ASSERT_EQ(as.cursor() - buffer.begin(), 15);
  for (uint8_t i = 0; i < 15; ++i) EXPECT_EQ(buffer.begin()[i], i + 1);
}

TEST(Emitter, NeverWritesPastTheEnd) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{100}, size_t{1000}}) {
    GuardedBuffer buffer(size);
    Assembler as(buffer.begin(), buffer.end(), 0);
    Label near, before, behind;
    as.bind(before);
    for (int i = 0; i < 1000; ++i) {
      as.mov_imm64(Gpr::r15, 0x0123456789ABCDEF);
      as.jmp(near);
      as.jcc(Cond::e, near, Reach::kShort);
      as.jmp(before);
      as.align(64);
      as.lock_add(Width::k64, mem(Gpr::r12, Gpr::r13, 8, 0x12345678), 0x12345678);
      as.vpternlogd_avx512(Xmm::xmm9, Xmm::xmm9, mem(Gpr::r12, Gpr::r13, 8, 0x12345678), 1);
      as.jmp_rel32_aligned(behind);
    }
    as.bind(near);
    as.bind(behind);
    EXPECT_TRUE(as.overflowed()) << size;
    EXPECT_TRUE(as.failed());
    EXPECT_TRUE(buffer.guards_intact()) << size;
  }
}

TEST(Emitter, OverflowDamagesNothingThatWasEmitted) {
  GuardedBuffer buffer(256);
  Assembler as(buffer.begin(), buffer.end(), 0);
  std::vector<uint8_t> before;
  while (!as.overflowed()) {
    before.assign(buffer.begin(), buffer.end());
    as.mov_imm64(Gpr::rax, 0x0123456789ABCDEF);
  }
  for (int i = 0; i < 100; ++i) as.ret();
  EXPECT_TRUE(std::equal(before.begin(), before.end(), buffer.begin()));
  as.reset(buffer.begin(), buffer.end(), 0);
  EXPECT_FALSE(as.overflowed());
  as.ret();
  EXPECT_EQ(*buffer.begin(), 0xC3);
}

}  // namespace
}  // namespace adyton::engine::x64
