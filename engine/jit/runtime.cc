#include "engine/jit/runtime.h"

#include <array>
#include <cstring>

#include "engine/jit/cpu.h"
#include "engine/jit/vector_helpers.h"

namespace adyton::engine::jit {
namespace {

CpuImpl& owner(ExecState* state) { return *const_cast<CpuImpl*>(static_cast<const CpuImpl*>(state->owner)); }

constexpr uint64_t kInfoI32 = 1ull << 18, kInfoPair = 1ull << 19;

uint64_t extend(uint64_t value, const ir::MemoryInfo& info, bool to32) {
  if (!info.sign_extend) return value;
  const unsigned shift = 64 - 8u * info.size;
  const auto wide = static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
  return to32 ? static_cast<uint32_t>(wide) : wide;
}

interp::Access access_of(const ExecState* state, const ir::MemoryInfo& info) {
  interp::Access access;
  access.unprivileged = state->cpu.el != 0 && info.view == kUserView;
  access.atomic = info.aligned;
  return access;
}

// --- slow paths of memory accesses

HelperResult slow_load(ExecState* state, uint64_t address, uint64_t packed) {
  const auto info = ir::MemoryInfo::unpack(packed);
  uint64_t value = 0;
  const void* resume =
      owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) { return cpu.read(address, info.size, access_of(state, info), &value); });
  return {extend(value, info, packed & kInfoI32), resume};
}

HelperResult slow_load_pair(ExecState* state, uint64_t address, uint64_t packed) {
  const auto info = ir::MemoryInfo::unpack(packed);
  uint64_t first = 0, second = 0;
  const void* resume = owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) {
    const interp::Outcome outcome = cpu.read(address, info.size, access_of(state, info), &first);
    return outcome == interp::Outcome::kDone ? cpu.read(address + info.size, info.size, access_of(state, info), &second) : outcome;
  });
  state->call_vectors[0].d[0] = extend(second, info, false);
  return {extend(first, info, false), resume};
}

HelperResult slow_store(ExecState* state, uint64_t address, uint64_t packed, uint64_t value) {
  const auto info = ir::MemoryInfo::unpack(packed);
  return {0, owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) { return cpu.write(address, info.size, access_of(state, info), &value); })};
}

HelperResult slow_store_pair(ExecState* state, uint64_t address, uint64_t packed, uint64_t first, uint64_t second) {
  const auto info = ir::MemoryInfo::unpack(packed);
  return {0, owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) {
            const interp::Outcome outcome = cpu.write(address, info.size, access_of(state, info), &first);
            return outcome == interp::Outcome::kDone ? cpu.write(address + info.size, info.size, access_of(state, info), &second) : outcome;
          })};
}

HelperResult slow_load_vector(ExecState* state, uint64_t address, uint64_t packed) {
  const auto info = ir::MemoryInfo::unpack(packed);
  std::array<arm64::Vector, 2> values{};
  const void* resume = owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) {
    const interp::Outcome outcome = cpu.read(address, info.size, access_of(state, info), &values[0]);
    if (outcome != interp::Outcome::kDone || !(packed & kInfoPair)) return outcome;
    return cpu.read(address + info.size, info.size, access_of(state, info), &values[1]);
  });
  state->call_vectors[0] = values[0];
  state->call_vectors[1] = values[1];
  return {0, resume};
}

HelperResult slow_store_vector(ExecState* state, uint64_t address, uint64_t packed) {
  const auto info = ir::MemoryInfo::unpack(packed);
  const std::array<arm64::Vector, 2> values{state->call_vectors[0], state->call_vectors[1]};
  return {0, owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) {
            const interp::Outcome outcome = cpu.write(address, info.size, access_of(state, info), &values[0]);
            if (outcome != interp::Outcome::kDone || !(packed & kInfoPair)) return outcome;
            return cpu.write(address + info.size, info.size, access_of(state, info), &values[1]);
          })};
}

HelperResult slow_atomic(ExecState* state, uint64_t address, uint64_t packed, uint64_t operand, uint64_t desired) {
  const auto info = ir::MemoryInfo::unpack(packed);
  const auto op = static_cast<ir::Opcode>(packed >> 56);
  uint64_t old = 0;
  const void* resume = owner(state).in_block(info.page_offset, [&](CpuImpl& cpu) {
    using interp::AtomicOp;
    const interp::Access access = access_of(state, info);
    auto rmw = [&](AtomicOp operation) { return cpu.atomic(address, info.size, access, operation, operand, old); };
    switch (op) {
      case ir::Opcode::kAtomicAdd: return rmw(AtomicOp::kAdd);
      case ir::Opcode::kAtomicClear: return rmw(AtomicOp::kClear);
      case ir::Opcode::kAtomicXor: return rmw(AtomicOp::kXor);
      case ir::Opcode::kAtomicOr: return rmw(AtomicOp::kSet);
      case ir::Opcode::kAtomicSwap: return rmw(AtomicOp::kSwap);
      case ir::Opcode::kAtomicMaxSigned: return rmw(AtomicOp::kSignedMax);
      case ir::Opcode::kAtomicMinSigned: return rmw(AtomicOp::kSignedMin);
      case ir::Opcode::kAtomicMaxUnsigned: return rmw(AtomicOp::kUnsignedMax);
      case ir::Opcode::kAtomicMinUnsigned: return rmw(AtomicOp::kUnsignedMin);
      default: {
        old = info.size == 8 ? operand : operand & ((1ull << (8 * info.size)) - 1);
        return cpu.compare_and_swap(address, info.size, access, &old, &desired);
      }
    }
  });
  return {old, resume};
}

// --- helpers of the translator

HelperResult interpret(ExecState* state, uint64_t insn) { return {0, owner(state).interpret_in_block(static_cast<uint32_t>(insn))}; }

HelperResult compare_and_swap_pair(ExecState* state, uint64_t insn) {
  if (owner(state).compare_and_swap_pair(static_cast<uint32_t>(insn))) return {0, nullptr};
  return interpret(state, insn);
}

const void* interpret_exit(ExecState* state, uint64_t insn) { return owner(state).interpret_and_go_on(static_cast<uint32_t>(insn)); }

const void* supervisor_call(ExecState* state, uint64_t immediate) {
  state->cpu.pc += state->page_offset;
  arm64::take_sync_exception(state->cpu, arm64::ExceptionClass::kSvc64, static_cast<uint32_t>(immediate), state->cpu.pc + 4);
  owner(state).pstate_changed();
  return owner(state).resume();
}

const void* exception_return(ExecState* state) {
  state->cpu.pc += state->page_offset;
  arm64::exception_return(state->cpu);
  owner(state).clear_exclusive();
  owner(state).pstate_changed();
  return owner(state).resume();
}

HelperResult read_sysreg(ExecState* state, uint64_t encoding, uint64_t insn) {
  uint64_t value = 0;
  const void* resume = owner(state).in_block(static_cast<uint16_t>(state->page_offset), [&](CpuImpl& cpu) {
    return cpu.read_system_register(static_cast<uint16_t>(encoding), static_cast<uint32_t>(insn), value);
  });
  return {value, resume};
}

HelperResult write_sysreg(ExecState* state, uint64_t encoding, uint64_t insn, uint64_t value) {
  const auto offset = static_cast<uint16_t>(state->page_offset);
  CpuImpl& cpu = owner(state);
  const unsigned mode = cpu.mode();
  const void* resume = cpu.in_block(offset, [&](CpuImpl& c) {
    return c.write_system_register(static_cast<uint16_t>(encoding), static_cast<uint32_t>(insn), value);
  });
  if (!resume && cpu.mode() != mode) {
    state->cpu.pc += offset + 4u;
    resume = cpu.resume();
  }
  return {0, resume};
}

void data_barrier(ExecState* state) { owner(state).memory_barrier(true); }

// --- ways out of translated code

const void* translate(ExecState* state, uint64_t page_offset) {
  state->cpu.pc += page_offset;
  return owner(state).resume();
}

const void* find_indirect(ExecState* state, uint64_t virtual_address) {
  state->cpu.pc = virtual_address;
  return owner(state).resume();
}

const void* link(ExecState* state, uint64_t page_offset, uint64_t field) {
  state->cpu.pc += page_offset;
  return owner(state).resume_and_link(field);
}

template <typename F>
const void* address_of(F* function) {
  return reinterpret_cast<const void*>(function);
}

}  // namespace

RuntimeEntries runtime_entries() { return {translate, find_indirect, link}; }

arm64::TranslatorHelpers translator_helpers() {
  arm64::TranslatorHelpers helpers;
  helpers.interpret = address_of(interpret);
  helpers.interpret_exit = address_of(interpret_exit);
  helpers.compare_and_swap_pair = address_of(compare_and_swap_pair);
  helpers.supervisor_call = address_of(supervisor_call);
  helpers.exception_return = address_of(exception_return);
  helpers.read_sysreg = address_of(read_sysreg);
  helpers.write_sysreg = address_of(write_sysreg);
  helpers.data_barrier = address_of(data_barrier);
  helpers.sha1_rounds = address_of(sha1_rounds);
  helpers.sha256_rounds = address_of(sha256_rounds);
  helpers.interrupt_level_offset = offsetof(ExecState, interrupt_level);
  helpers.recheck_offset = offsetof(ExecState, recheck);
  return helpers;
}

void set_slow_paths(x64::RuntimeThunks& thunks) {
  thunks.slow_load = address_of(slow_load);
  thunks.slow_load_pair = address_of(slow_load_pair);
  thunks.slow_store = address_of(slow_store);
  thunks.slow_store_pair = address_of(slow_store_pair);
  thunks.slow_load_vector = address_of(slow_load_vector);
  thunks.slow_store_vector = address_of(slow_store_vector);
  thunks.slow_atomic = address_of(slow_atomic);
}

}  // namespace adyton::engine::jit
