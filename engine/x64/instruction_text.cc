#include "engine/x64/instruction_text.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <array>

namespace adyton::engine::x64 {
namespace {

constexpr unsigned kShownMismatches = 10;

constexpr std::string_view kNames64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::string_view kLegacy32[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
constexpr std::string_view kLegacy16[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
constexpr std::string_view kLegacy8[] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};

std::string memory_text(std::string_view base, std::string_view index, unsigned scale, int64_t disp) {
  std::string result = "[";
  if (!base.empty()) result += fmt::format("{}+", base);
  if (!index.empty()) result += fmt::format("{}*{}+", index, scale);
  return result + fmt::format("{}]", disp);
}

std::string_view size_name(unsigned bits) {
  switch (bits) {
    case 8: return "byte";
    case 16: return "word";
    case 32: return "dword";
    case 64: return "qword";
    case 128: return "oword";
    default: return "other";
  }
}

std::string register_name(ZydisRegister reg) { return reg == ZYDIS_REGISTER_NONE ? "" : ZydisRegisterGetString(reg); }

std::string operand_text(const ZydisDecodedOperand& operand, unsigned first_bits, MemorySize size) {
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: return register_name(operand.reg.value);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE: {
      const uint64_t mask = first_bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << first_bits) - 1;
      return fmt::format("{}", operand.imm.value.u & mask);
    }
    case ZYDIS_OPERAND_TYPE_MEMORY: {
      const auto& m = operand.mem;
      const std::string place =
          memory_text(register_name(m.base), register_name(m.index), m.scale, m.disp.has_displacement ? m.disp.value : 0);
      if (size == MemorySize::kHidden || m.type == ZYDIS_MEMOP_TYPE_AGEN) return place;
      return fmt::format("{} {}", size_name(operand.size), place);
    }
    default: return "?";
  }
}

template <typename Register>
constexpr std::array<Register, 16> make_all() {
  std::array<Register, 16> result{};
  for (unsigned i = 0; i < 16; ++i) result[i] = static_cast<Register>(i);
  return result;
}

std::vector<Mem> make_interesting_mems() {
  std::vector<Mem> result;
  // A displacement of every kind (the multiples of 4, 8 and 16 are short for EVEX), with the registers whose encoding is special.
  constexpr int32_t kDisplacements[] = {0,   1,    -1,   127,  128,  -128,  -129,  4,        8,         16,       508,
                                        512, 1016, 1024, 2032, 2048, -2048, -2064, 0x123456, INT32_MAX, INT32_MIN};
  constexpr Gpr kBases[] = {Gpr::rax, Gpr::rsp, Gpr::rbp, Gpr::rdi, Gpr::r8, Gpr::r12, Gpr::r13, Gpr::r15};
  for (Gpr base : kBases) {
    for (int32_t disp : kDisplacements) result.push_back(mem(base, disp));
  }
  for (Gpr base : kBases) {
    for (Gpr index : {Gpr::rcx, Gpr::rbp, Gpr::r9, Gpr::r12, Gpr::r13}) {
      for (int32_t disp : {0, -8, 1000}) result.push_back(mem(base, index, 1u << (result.size() % 4), disp));
    }
  }
  result.push_back(mem_scaled(Gpr::rbp, 8));
  result.push_back(mem_scaled(Gpr::r12, 4, -5));
  result.push_back(mem_absolute(0x12345678));
  return result;
}

}  // namespace

std::string text(Gpr reg, Width width) {
  const unsigned number = number_of(reg);
  if (width == Width::k64) return std::string(kNames64[number]);
  if (number >= 8) return fmt::format("{}{}", kNames64[number], width == Width::k32 ? "d" : width == Width::k16 ? "w" : "b");
  return std::string(width == Width::k32 ? kLegacy32[number] : width == Width::k16 ? kLegacy16[number] : kLegacy8[number]);
}

std::string text(Xmm reg) { return fmt::format("xmm{}", number_of(reg)); }

std::string text(const Mem& m) {
  return memory_text(m.has_base ? kNames64[number_of(m.base)] : "", m.has_index() ? kNames64[number_of(m.index)] : "", m.scale,
                     m.disp);
}

std::string text(const Mem& m, Width width) { return fmt::format("{} {}", size_name(bits_of(width)), text(m)); }

std::string immediate(int64_t value, Width width) {
  const uint64_t mask = width == Width::k64 ? ~uint64_t{0} : (uint64_t{1} << bits_of(width)) - 1;
  return fmt::format("{}", static_cast<uint64_t>(value) & mask);
}

std::string decode(std::span<const uint8_t> bytes, MemorySize size) {
  static const ZydisDecoder decoder = [] {
    ZydisDecoder result;
    ZydisDecoderInit(&result, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return result;
  }();
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &instruction, operands))) return "undecodable";
  if (instruction.length != bytes.size())
    return fmt::format("an instruction of {} bytes instead of {}", instruction.length, bytes.size());
  const unsigned first_bits = operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? 64 : operands[0].size;
  std::string result;
  if (instruction.attributes & ZYDIS_ATTRIB_HAS_LOCK) result = "lock ";
  result += ZydisMnemonicGetString(instruction.mnemonic);
  for (unsigned i = 0; i < instruction.operand_count_visible; ++i) {
    if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[i].reg.value == ZYDIS_REGISTER_K0) continue;  // "no mask"
    result += i == 0 ? " " : ", ";
    result += operand_text(operands[i], first_bits, size);
  }
  return result;
}

InstructionChecker::~InstructionChecker() {
  if (mismatches_ > kShownMismatches) ADD_FAILURE() << mismatches_ << " mismatches in " << checks_ << " instructions";
  if (checks_ == 0) ADD_FAILURE() << "nothing was checked";
}

void InstructionChecker::compare(const std::string& expected, std::span<const uint8_t> code) {
  ++checks_;
  const std::string actual = decode(code, size_);
  if (actual == expected) return;
  if (++mismatches_ <= kShownMismatches)
    ADD_FAILURE() << "asked for  " << expected << "\ndecodes to " << actual
                  << fmt::format("\nbytes {:02x}", fmt::join(code, " "));
}

std::span<const Gpr> all_gprs() {
  static constexpr auto kAll = make_all<Gpr>();
  return kAll;
}

std::span<const Xmm> all_xmms() {
  static constexpr auto kAll = make_all<Xmm>();
  return kAll;
}

std::span<const Mem> interesting_mems() {
  static const std::vector<Mem> mems = make_interesting_mems();
  return mems;
}

}  // namespace adyton::engine::x64
