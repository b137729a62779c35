// The differential loop of random_program.h.
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "engine/interp/testing/random_program.h"
#include "engine/interp/testing/vixl_oracle.h"

namespace adyton::engine::interp::testing {

std::string differences(const MachineState& expected, const MachineState& actual, const CompareOptions& options) {
  std::string text;
  const auto compare = [&](const std::string& name, uint64_t a, uint64_t b) {
    if (a != b) text += fmt::format("  {:6} expected {:#018x} got {:#018x}\n", name, a, b);
  };
  compare("raised", expected.exception, actual.exception);
  compare("EC", expected.exception_class, actual.exception_class);
  for (unsigned i = 0; i < 31; i++) compare(fmt::format("x{}", i), expected.x[i], actual.x[i]);
  compare("sp", expected.sp, actual.sp);
  compare("pc", expected.pc, actual.pc);
  compare("nzcv", expected.nzcv, actual.nzcv);
  compare("fpcr", expected.fpcr, actual.fpcr);
  if (options.fpsr) compare("fpsr", expected.fpsr & ~options.ignored_fpsr_bits, actual.fpsr & ~options.ignored_fpsr_bits);
  for (unsigned i = 0; i < 32; i++) {
    const auto &a = expected.v[i].d, &b = actual.v[i].d;
    if (a[0] != b[0] || a[1] != b[1])
      text += fmt::format("  v{:<5} expected {:016x}_{:016x} got {:016x}_{:016x}\n", i, a[1], a[0], b[1], b[0]);
  }
  for (size_t i = 0; i < kDataSize; i++) {
    if (expected.data[i] != actual.data[i]) {
      text += fmt::format("  [{:#x}] expected {:#04x} got {:#04x}\n", kDataAddress + i, expected.data[i], actual.data[i]);
    }
  }
  return text;
}

FuzzConfig fuzz_config(uint64_t default_count) {
  FuzzConfig config;
  const char* seed = std::getenv("ADYTON_FUZZ_SEED");
  const char* count = std::getenv("ADYTON_FUZZ_COUNT");
  config.seed = seed ? std::strtoull(seed, nullptr, 0) : std::random_device{}() * 0x100000001ull;
  config.count = count ? std::strtoull(count, nullptr, 0) : default_count;
  return config;
}

namespace {

// The registers that an instruction can have read, by its four register fields.
std::string sources(uint32_t word, const MachineState& state) {
  std::string text = fmt::format("  before: nzcv={:#x} fpcr={:#x} sp={:#x}", state.nzcv, state.fpcr, state.sp);
  for (const unsigned low : {0u, 5u, 10u, 16u}) {
    const unsigned reg = (word >> low) & 31;
    text += fmt::format("\n    {:2}: x={:#018x} v={:016x}_{:016x}", reg, reg == 31 ? 0 : state.x[reg], state.v[reg].d[1],
                        state.v[reg].d[0]);
  }
  return text + "\n";
}

// Shortens to the first prefix on which the two differ.
std::string reduced_report(Executor& oracle, Executor& subject, std::span<const uint32_t> program, const MachineState& start,
                           const FuzzConfig& config) {
  MachineState before = start;
  for (size_t length = 1; length <= program.size(); length++) {
    MachineState expected = start, actual = start;
    oracle.run(program.first(length), expected);
    subject.run(program.first(length), actual);
    const std::string difference = differences(expected, actual, config.compare);
    if (!difference.empty()) {
      const uint32_t word = program[length - 1];
      return fmt::format("instruction {} of {}: {:08x}  {}\n{}{}", length, program.size(), word,
                         disassemble(word, kCodeAddress + 4 * (length - 1)), sources(word, before), difference);
    }
    before = expected;
  }
  return "the disagreement did not repeat on the prefixes of the program\n";
}

std::string listing(std::span<const uint32_t> program) {
  std::string text;
  for (size_t i = 0; i < program.size(); i++) {
    text += fmt::format("  {:#x}: {:08x}  {}\n", kCodeAddress + 4 * i, program[i], disassemble(program[i], kCodeAddress + 4 * i));
  }
  return text;
}

}  // namespace

std::optional<std::string> fuzz(Executor& oracle, Executor& subject, std::span<const Encoding> encodings,
                                const FuzzConfig& config) {
  std::vector<const Encoding*> chosen;
  for (const Encoding& encoding : encodings) {
    if (!(encoding.flags & config.excluded_flags)) chosen.push_back(&encoding);
  }
  for (uint64_t i = 0; i < config.count; i++) {
    // Consecutive seeds of SplitMix64 are independent enough once passed through it.
    const uint64_t seed = config.seed + i;
    Random random(Random(seed).next());
    MachineState start = random_state(random);
    if (config.prepare) config.prepare(random, start);
    std::vector<uint32_t> program;
    std::string name = "program";
    if (config.program_length == 1) {
      const Instance instance = random_instance(random, *chosen[random.below(chosen.size())], kCodeAddress);
      for (unsigned k = 0; k < instance.need_count; k++) {
        const auto& need = instance.needs[k];
        (need.reg == 31 ? start.sp : start.x[need.reg]) = need.value;
      }
      program.push_back(instance.word);
      name = instance.encoding->name;
    } else {
      const auto wanted = [&](uint32_t word) {
        return !(config.skip && config.skip(word)) && (!config.is_allocated || config.is_allocated(word));
      };
      program = random_program(random, chosen, config.program_length, wanted);
    }
    const auto report = [&](const std::string& text) {
      return fmt::format("{} (ADYTON_FUZZ_SEED={:#x} ADYTON_FUZZ_COUNT=1), case {}\n{}", name, seed, i, text);
    };

    if (config.program_length == 1 && config.skip && config.skip(program[0])) continue;
    MachineState actual = start;
    subject.run(program, actual);
    if (config.program_length == 1 && config.is_allocated && !config.is_allocated(program[0])) {
      // The oracle cannot run this; the subject must have found it UNDEFINED.
      if (!(actual.exception && actual.exception_class == 0)) {
        return report(
            fmt::format("{:08x} is unallocated for the oracle ({}) but was executed\n", program[0], disassemble(program[0])));
      }
      continue;
    }
    if (config.is_allocated && actual.exception) {
      return report(fmt::format("{:08x}  {}: exception class {:#x} where the oracle executes\n{}",
                                program[(actual.pc - kCodeAddress) / 4], disassemble(program[(actual.pc - kCodeAddress) / 4]),
                                actual.exception_class, listing(program)));
    }
    MachineState expected = start;
    oracle.run(program, expected);
    if (differences(expected, actual, config.compare).empty()) continue;
    std::string text = reduced_report(oracle, subject, program, start, config);
    if (program.size() > 1) text += listing(program);
    return report(text);
  }
  return std::nullopt;
}

}  // namespace adyton::engine::interp::testing
