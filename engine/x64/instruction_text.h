// Test support: what an instruction is, in words, as Zydis decodes it and as a test asks for it. Both sides write registers by
// name, memory as [base+index*scale+disp] with a decimal displacement (after its size, where asked) and immediates as unsigned
// numbers of the first operand's width.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/x64/assembler.h"

namespace adyton::engine::x64 {

std::string text(Gpr reg, Width width);
std::string text(Xmm reg);
std::string text(const Mem& m);
inline std::string text(Xmm reg, Width) { return text(reg); }
std::string text(const Mem& m, Width width);  // with its size
std::string immediate(int64_t value, Width width);

enum class MemorySize : uint8_t { kShown, kHidden };

// The single instruction that `bytes` holds, or a complaint: undecodable, or longer or shorter than `bytes`.
std::string decode(std::span<const uint8_t> bytes, MemorySize size = MemorySize::kShown);

// Emits one instruction and compares what it decodes to; a mismatch fails the current test (the first few only, of each checker).
class InstructionChecker {
 public:
  explicit InstructionChecker(MemorySize size = MemorySize::kShown) : size_(size) {}
  InstructionChecker(const InstructionChecker&) = delete;
  InstructionChecker& operator=(const InstructionChecker&) = delete;
  ~InstructionChecker();

  template <typename Emit>
  void expect(const std::string& expected, Emit&& emit) {
    uint8_t code[128];
    Assembler as(code, code + sizeof code, 0);
    emit(as);
    compare(expected, std::span(code, as.cursor()));
  }

 private:
  void compare(const std::string& expected, std::span<const uint8_t> code);

  MemorySize size_;
  unsigned checks_ = 0;
  unsigned mismatches_ = 0;
};

// Every register, and memory operands that meet every special case of ModRM, SIB and displacement.
std::span<const Gpr> all_gprs();
std::span<const Xmm> all_xmms();
std::span<const Mem> interesting_mems();
inline constexpr Width kAllWidths[] = {Width::k8, Width::k16, Width::k32, Width::k64};
inline constexpr Width kWideWidths[] = {Width::k16, Width::k32, Width::k64};
inline constexpr Width kWordWidths[] = {Width::k32, Width::k64};

}  // namespace adyton::engine::x64
