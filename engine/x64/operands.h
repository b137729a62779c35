// Operands of x86-64 instructions: registers, conditions, widths, memory references and labels.
// Numbers are those of the instruction encoding (Intel SDM volume 2, 2.1 and appendix B).
#pragma once
#include <bit>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace adyton::engine::x64 {

enum class Gpr : uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

enum class Xmm : uint8_t { xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15 };

enum class Cond : uint8_t { o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g };

// The condition that holds exactly when `cond` does not.
constexpr Cond invert(Cond cond) { return static_cast<Cond>(static_cast<uint8_t>(cond) ^ 1); }

enum class Width : uint8_t { k8, k16, k32, k64 };

constexpr unsigned bytes_of(Width width) { return 1u << static_cast<unsigned>(width); }
constexpr unsigned bits_of(Width width) { return 8u << static_cast<unsigned>(width); }

constexpr unsigned number_of(Gpr reg) { return static_cast<unsigned>(reg); }
constexpr unsigned number_of(Xmm reg) { return static_cast<unsigned>(reg); }

// [base + index * scale + disp]. rsp cannot be an index (its number means "no index" in the SIB byte), so it marks the absence.
struct Mem {
  Gpr base = Gpr::rax;
  Gpr index = Gpr::rsp;
  uint8_t scale = 1;     // 1, 2, 4 or 8
  bool has_base = true;  // false: [index * scale + disp], or [disp] alone (an address in the low or high 2 GiB)
  int32_t disp = 0;

  constexpr bool has_index() const { return index != Gpr::rsp; }
  // The same place, `offset` bytes further on. The sum must fit 32 bits.
  constexpr Mem operator+(int32_t offset) const {
    Mem result = *this;
    result.disp += offset;
    return result;
  }
};

constexpr Mem mem(Gpr base, int32_t disp = 0) { return Mem{.base = base, .disp = disp}; }

constexpr Mem mem(Gpr base, Gpr index, unsigned scale = 1, int32_t disp = 0) {
  assert(index != Gpr::rsp && std::has_single_bit(scale) && scale <= 8);
  return Mem{.base = base, .index = index, .scale = static_cast<uint8_t>(scale), .disp = disp};
}

// [index * scale + disp], chiefly for lea.
constexpr Mem mem_scaled(Gpr index, unsigned scale, int32_t disp = 0) {
  assert(index != Gpr::rsp && std::has_single_bit(scale) && scale <= 8);
  return Mem{.index = index, .scale = static_cast<uint8_t>(scale), .has_base = false, .disp = disp};
}

// [disp]: an absolute, sign-extended address.
constexpr Mem mem_absolute(int32_t address) { return Mem{.has_base = false, .disp = address}; }

template <typename T>
concept GprOrMem = std::same_as<T, Gpr> || std::same_as<T, Mem>;
template <typename T>
concept XmmOrMem = std::same_as<T, Xmm> || std::same_as<T, Mem>;

// How far a jump to a label may have to reach.
enum class Reach : uint8_t {
  kNear,   // rel32
  kShort,  // rel8: forward it is a promise of the caller (broken: Emitter::out_of_reach()), backward it is taken when it fits
};

// A place in the code being emitted. Jumps that come before bind() are linked through their own displacement fields (each
// holds the distance to the previous one), so any number of them costs no memory. A label belongs to one Assembler.
class Label {
 public:
  Label() = default;
  Label(const Label&) = delete;
  Label& operator=(const Label&) = delete;

  bool bound() const { return position_ != nullptr; }
  bool used() const { return last_near_ != nullptr || last_short_ != nullptr; }  // by a jump that waits for bind()
  uint8_t* position() const { return position_; }                                // in the writable view; null until bound

 private:
  friend class Emitter;
  uint8_t* position_ = nullptr;
  uint8_t* last_near_ = nullptr;   // the latest unresolved rel32 field
  uint8_t* last_short_ = nullptr;  // the latest unresolved rel8 field
};

}  // namespace adyton::engine::x64
