#include "engine/jit/testing/translated_executor.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/jit/cpu.h"
#include "engine/jit/machine.h"

namespace adyton::engine::jit::testing {

using interp::testing::kCodeAddress;
using interp::testing::kCodeSlack;
using interp::testing::kDataAddress;
using interp::testing::kDataSize;
using interp::testing::kWindowAddress;
using interp::testing::kWindowSize;
using interp::testing::MachineState;

namespace {

constexpr uint32_t kHvc = 0xd4000002;
// A second region: vectors, then the translation tables of levels 1 to 3.
constexpr uint64_t kSystemAddress = 0x6000'0000, kTableAddress = kSystemAddress + 0x8000;
constexpr uint64_t kVectorsSize = 0x800;
// No exception classes: they make a comparison fail.
constexpr uint8_t kUnexpectedExit = 0xff, kSecondRunDiffers = 0xfe;

void check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "TranslatedExecutor: %s\n", what);
  std::abort();
}

}  // namespace

class TranslatedExecutor::Host final : public CpuHost {
 public:
  bool read_icc(uint16_t, uint64_t&) override { return false; }
  bool write_icc(uint16_t, uint64_t) override { return false; }
  void timer_changed() override {}
  void send_event() override {}
};

TranslatedExecutor::TranslatedExecutor(const EngineConfig& config) : host_(std::make_unique<Host>()) {
  check(memory_.add_ram(kWindowAddress, kWindowSize).has_value(), "no memory");
  check(memory_.add_ram(kSystemAddress, 0x10000).has_value(), "no memory");
  auto machine = Machine::create(config, memory_);
  check(machine.has_value(), "no machine");
  machine_ = std::move(*machine);
  auto cpu = machine_->create_cpu({}, *host_);
  check(cpu.has_value(), "no CPU");
  cpu_ = *cpu;

  // Wherever a program ends up, a hypervisor call ends the run.
  const auto fill = [&](uint64_t from, uint64_t to) {
    for (uint64_t address = from; address < to; address += 4) check(memory_.store(address, kHvc).has_value(), "store");
  };
  fill(kCodeAddress - kCodeSlack, kCodeAddress + kCodeSlack);
  fill(kSystemAddress, kSystemAddress + kVectorsSize);
  map();
}

TranslatedExecutor::~TranslatedExecutor() = default;

// Every address is mapped to itself, Normal memory, for EL1; data below the code for EL0 too (LDTR and STTR), which EL1 can then not execute
// (Arm ARM D8.3, D8.4.1).
void TranslatedExecutor::map() {
  constexpr uint64_t kTable = 3, kBlock = 1, kPage = 3, kAccessed = 1 << 10, kUser = 1 << 6;
  const auto store = [&](uint64_t table, uint64_t index, uint64_t descriptor) {
    check(memory_.store(table + 8 * index, descriptor).has_value(), "store");
  };
  constexpr uint64_t kLevel2 = kTableAddress + kPageSize, kLevel3 = kLevel2 + kPageSize;
  store(kTableAddress, kWindowAddress >> 30, kLevel2 | kTable);
  store(kLevel2, (kSystemAddress >> 21) & 511, kSystemAddress | kAccessed | kBlock);
  store(kLevel2, (kWindowAddress >> 21) & 511, kLevel3 | kTable);
  for (uint64_t address = kWindowAddress; address < kWindowAddress + kWindowSize; address += kPageSize) {
    store(kLevel3, (address >> 12) & 511, address | kAccessed | kPage | (address < kCodeAddress - kCodeSlack ? kUser : 0));
  }
}

void TranslatedExecutor::run(std::span<const uint32_t> program, MachineState& state) {
  uint8_t* code = memory_.slice(kCodeAddress, kCodeSlack).data();
  for (size_t i = program.size(); i < program_words_; ++i) std::memcpy(code + 4 * i, &kHvc, sizeof kHvc);
  std::memcpy(code, program.data(), program.size_bytes());
  static_cast<MachineImpl&>(*machine_).pages().invalidate(kCodeAddress & kPageMask, (program.size_bytes() + 2 * kPageSize) & kPageMask);
  program_words_ = program.size();

  // Once with everything to be found and translated, once more with what the first run left: TLB entries, code and links.
  MachineState again = state;
  cpu_->state_changed();
  run_once(state);
  run_once(again);
  if (!interp::testing::differences(state, again, {}).empty()) {
    state = again;
    state.exception = true;
    state.exception_class = kSecondRunDiffers;
  }
}

void TranslatedExecutor::run_once(MachineState& state) {
  auto& cpu_impl = static_cast<CpuImpl&>(*cpu_);
  uint8_t* data = memory_.slice(kDataAddress, kDataSize).data();
  std::memcpy(data, state.data.data(), kDataSize);
  arm64::CpuState& cpu = cpu_->state();
  constexpr uint64_t kM = 1, kC = 1 << 2, kI = 1 << 12, kSpan = 1 << 23;
  cpu.el = 1;
  cpu.sp_sel = 1;
  cpu.daif = 0x3c0;
  cpu.pan = cpu.uao = cpu.il = cpu.ss = 0;
  cpu.cpacr_el1 = 3u << 20;  // FPEN: no trap
  cpu.sctlr_el[1] = kM | kC | kI | kSpan;
  cpu.tcr_el[1] = 25 | (1 << 23);  // T0SZ: 39 bits of address from level 1 on, 4 KiB granule; EPD1
  cpu.mair_el[1] = 0xff;
  cpu.ttbr0_el[1] = kTableAddress;
  cpu.vbar_el[1] = kSystemAddress;
  std::memcpy(cpu.x, state.x.data(), sizeof state.x);
  cpu.x[31] = state.sp;
  cpu.pc = state.pc;
  cpu.set_nzcv(state.nzcv);
  cpu.fpcr = state.fpcr;
  cpu.fpsr = state.fpsr;
  std::memcpy(cpu.v, state.v.data(), sizeof cpu.v);
  cpu_impl.clear_exclusive();
  cpu_impl.translation_context_changed();
  cpu_impl.fp_control_changed();
  cpu_impl.pstate_changed();

  const Exit exit = cpu_->run();
  state.pc = cpu.pc - 4;
  if (exit.reason != Exit::Reason::kHypercall) {
    state.exception = true;
    state.exception_class = kUnexpectedExit;
    state.pc = cpu.pc;
  } else if (state.pc - kSystemAddress < kVectorsSize) {
    state.exception = true;
    state.exception_class = static_cast<uint8_t>(cpu.esr_el[1] >> 26);
    state.pc = cpu.elr_el[1];
  }
  std::memcpy(state.x.data(), cpu.x, sizeof state.x);
  state.sp = cpu.x[31];
  state.nzcv = cpu.nzcv();
  state.fpcr = cpu.fpcr;
  state.fpsr = cpu.fpsr;
  std::memcpy(state.v.data(), cpu.v, sizeof cpu.v);
  std::memcpy(state.data.data(), data, kDataSize);
}

}  // namespace adyton::engine::jit::testing
