#include "engine/interp/testing/flat_environment.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/arm64/exception.h"
#include "engine/arm64/mmu.h"

namespace adyton::engine::interp::testing {

using arm64::ExceptionClass;
using arm64::FaultType;

FixedMemory::FixedMemory(uint64_t address, size_t size) : address_(address), size_(size) {
  void* wanted = reinterpret_cast<void*>(address);
  if (mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != wanted) {
    std::perror("mapping the test window at its fixed address");
    std::abort();
  }
}

FixedMemory::~FixedMemory() { munmap(bytes(), size_); }

namespace {

template <typename T>
void apply(AtomicOp op, uint8_t* target, uint64_t operand64, uint64_t& old_value) {
  using Signed = std::make_signed_t<T>;
  const T operand = static_cast<T>(operand64);
  T old;
  std::memcpy(&old, target, sizeof old);
  T result = old;
  switch (op) {
    case AtomicOp::kAdd: result = static_cast<T>(old + operand); break;
    case AtomicOp::kClear: result = static_cast<T>(old & ~operand); break;
    case AtomicOp::kXor: result = old ^ operand; break;
    case AtomicOp::kSet: result = old | operand; break;
    case AtomicOp::kSignedMax: result = static_cast<T>(std::max(static_cast<Signed>(old), static_cast<Signed>(operand))); break;
    case AtomicOp::kSignedMin: result = static_cast<T>(std::min(static_cast<Signed>(old), static_cast<Signed>(operand))); break;
    case AtomicOp::kUnsignedMax: result = std::max(old, operand); break;
    case AtomicOp::kUnsignedMin: result = std::min(old, operand); break;
    case AtomicOp::kSwap: result = operand; break;
  }
  std::memcpy(target, &result, sizeof result);
  old_value = old;
}

bool overlaps(uint64_t va, unsigned size, uint64_t from, uint64_t to) { return va < to && va + size > from; }

}  // namespace

Outcome FlatEnvironment::check(uint64_t va, unsigned size, Access access, bool write) {
  const auto fault = [&](FaultType type) {
    arm64::take_sync_exception(cpu_, ExceptionClass::kDataAbortLower,
                               arm64::data_abort_iss({.type = type, .level = 3}, write, false), cpu_.pc, va);
    return Outcome::kException;
  };
  const bool must_align = access.exclusive || access.atomic || access.acquire || access.release || (cpu_.sctlr_el[1] & 2);
  if (must_align && va % size != 0) return fault(FaultType::kAlignment);
  const uint64_t begin = memory_.address(), end = begin + memory_.size();
  if (va < begin || va >= end || end - va < size) return fault(FaultType::kTranslation);
  if (overlaps(va, size, faulting_from, faulting_to) && (write || !fault_writes_only)) return fault(FaultType::kTranslation);
  if (overlaps(va, size, device_from, device_to)) return Outcome::kExit;
  return Outcome::kDone;
}

Outcome FlatEnvironment::fetch(uint64_t va, uint32_t& insn) {
  if (va < memory_.address() || va >= memory_.address() + memory_.size()) {
    arm64::take_sync_exception(cpu_, ExceptionClass::kInstructionAbortLower,
                               arm64::instruction_abort_iss({.type = FaultType::kTranslation, .level = 3}), va, va);
    return Outcome::kException;
  }
  std::memcpy(&insn, reinterpret_cast<const void*>(va), sizeof insn);
  return Outcome::kDone;
}

Outcome FlatEnvironment::read(uint64_t va, unsigned size, Access access, void* data) {
  note(Event::Kind::kRead, va, size, access);
  if (const Outcome outcome = check(va, size, access, false); outcome != Outcome::kDone) return outcome;
  std::memcpy(data, reinterpret_cast<const void*>(va), size);
  return Outcome::kDone;
}

Outcome FlatEnvironment::write(uint64_t va, unsigned size, Access access, const void* data) {
  note(Event::Kind::kWrite, va, size, access);
  if (const Outcome outcome = check(va, size, access, true); outcome != Outcome::kDone) return outcome;
  std::memcpy(reinterpret_cast<void*>(va), data, size);
  return Outcome::kDone;
}

Outcome FlatEnvironment::atomic(uint64_t va, unsigned size, Access access, AtomicOp op, uint64_t operand, uint64_t& old_value) {
  note(Event::Kind::kAtomic, va, size, access);
  if (const Outcome outcome = check(va, size, access, true); outcome != Outcome::kDone) return outcome;
  auto* target = reinterpret_cast<uint8_t*>(va);
  switch (size) {
    case 1: apply<uint8_t>(op, target, operand, old_value); break;
    case 2: apply<uint16_t>(op, target, operand, old_value); break;
    case 4: apply<uint32_t>(op, target, operand, old_value); break;
    default: apply<uint64_t>(op, target, operand, old_value); break;
  }
  return Outcome::kDone;
}

Outcome FlatEnvironment::compare_and_swap(uint64_t va, unsigned size, Access access, void* expected, const void* desired) {
  note(Event::Kind::kCompareAndSwap, va, size, access);
  if (const Outcome outcome = check(va, size, access, true); outcome != Outcome::kDone) return outcome;
  uint8_t old[16];
  std::memcpy(old, reinterpret_cast<const void*>(va), size);
  if (std::memcmp(old, expected, size) == 0) std::memcpy(reinterpret_cast<void*>(va), desired, size);
  std::memcpy(expected, old, size);
  return Outcome::kDone;
}

Outcome FlatEnvironment::load_exclusive(uint64_t va, unsigned size, Access access, void* data) {
  note(Event::Kind::kLoadExclusive, va, size, access);
  if (const Outcome outcome = check(va, size, access, false); outcome != Outcome::kDone) return outcome;
  std::memcpy(data, reinterpret_cast<const void*>(va), size);
  exclusive_address_ = va;
  exclusive_size_ = size;
  return Outcome::kDone;
}

Outcome FlatEnvironment::store_exclusive(uint64_t va, unsigned size, Access access, const void* data, bool& failed) {
  note(Event::Kind::kStoreExclusive, va, size, access);
  if (const Outcome outcome = check(va, size, access, true); outcome != Outcome::kDone) return outcome;
  failed = exclusive_size_ != size || exclusive_address_ != va;
  exclusive_size_ = 0;
  if (!failed) std::memcpy(reinterpret_cast<void*>(va), data, size);
  return Outcome::kDone;
}

void FlatEnvironment::clear_exclusive() {
  note(Event::Kind::kClearExclusive);
  exclusive_size_ = 0;
}

Outcome FlatEnvironment::sysreg_outcome(arm64::SysRegResult result, uint32_t insn) {
  const auto bits = [insn](unsigned low, unsigned width) { return (insn >> low) & ((1u << width) - 1); };
  switch (result) {
    case arm64::SysRegResult::kDone: return Outcome::kDone;
    case arm64::SysRegResult::kUndefined: arm64::take_sync_exception(cpu_, ExceptionClass::kUnknown, 0, cpu_.pc); break;
    case arm64::SysRegResult::kTrapped:
      arm64::take_sync_exception(cpu_, ExceptionClass::kSysReg,
                                 bits(19, 2) << 20 | bits(5, 3) << 17 | bits(16, 3) << 14 | bits(12, 4) << 10 | bits(0, 5) << 5 |
                                     bits(8, 4) << 1 | bits(21, 1),
                                 cpu_.pc);
      break;
  }
  return Outcome::kException;
}

Outcome FlatEnvironment::read_system_register(uint16_t encoding, uint32_t insn, uint64_t& value) {
  return sysreg_outcome(arm64::read_sysreg(cpu_, *this, encoding, value), insn);
}

Outcome FlatEnvironment::write_system_register(uint16_t encoding, uint32_t insn, uint64_t value) {
  return sysreg_outcome(arm64::write_sysreg(cpu_, *this, encoding, value), insn);
}

Outcome FlatEnvironment::system_instruction(uint16_t encoding, uint32_t, uint64_t value) {
  note(Event::Kind::kSystemInstruction, encoding);
  if (encoding == arm64::sysreg_encoding(1, 3, 7, 4, 1)) {  // DC ZVA, DCZID_EL0.BS = 4: 64 bytes
    const uint64_t line = value & ~63ull;
    if (const Outcome outcome = check(line, 64, {}, true); outcome != Outcome::kDone) return outcome;
    std::memset(reinterpret_cast<void*>(line), 0, 64);
  }
  return Outcome::kDone;
}

Outcome FlatEnvironment::hypervisor_call(uint16_t immediate) {
  note(Event::Kind::kHypervisorCall, immediate);
  return Outcome::kExit;
}

Outcome FlatEnvironment::secure_monitor_call(uint16_t immediate) {
  note(Event::Kind::kSecureMonitorCall, immediate);
  return Outcome::kExit;
}

Outcome FlatEnvironment::wait_for_interrupt() {
  note(Event::Kind::kWaitForInterrupt);
  return Outcome::kExit;
}

Outcome FlatEnvironment::wait_for_event() {
  note(Event::Kind::kWaitForEvent);
  return Outcome::kExit;
}

void FlatEnvironment::send_event() { note(Event::Kind::kSendEvent); }
void FlatEnvironment::yield() { note(Event::Kind::kYield); }
void FlatEnvironment::memory_barrier(bool full) { note(Event::Kind::kMemoryBarrier, full ? 1 : 0); }
void FlatEnvironment::instruction_barrier() { note(Event::Kind::kInstructionBarrier); }
void FlatEnvironment::pstate_changed() { note(Event::Kind::kPstateChanged); }
void FlatEnvironment::fp_control_changed() { note(Event::Kind::kFpControlChanged); }

}  // namespace adyton::engine::interp::testing
