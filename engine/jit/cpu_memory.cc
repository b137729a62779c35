// Memory as one instruction sees it: translation, faults, devices, atomics and exclusives.
#include <cstring>

#include "engine/jit/cpu.h"
#include "engine/jit/machine.h"

namespace adyton::engine::jit {

using arm64::AccessKind;
using interp::Access;
using interp::Outcome;

namespace {

struct alignas(16) Pair {
  uint64_t low, high;
};

bool crosses_page(uint64_t va, unsigned size) { return (va & (kPageSize - 1)) + size > kPageSize; }

// An access of the guest's own: its translated siblings are not instrumented, so ThreadSanitizer cannot know what orders this one. Nothing
// in these functions may call memcpy(), which it watches as well.
#define ADYTON_GUEST_ACCESS __attribute__((no_sanitize("thread")))

template <typename T>
ADYTON_GUEST_ACCESS bool load_as(const uint8_t* from, unsigned size, void* to) {
  if (size != sizeof(T) || reinterpret_cast<uintptr_t>(from) % sizeof(T) != 0) return false;
  const T v = __atomic_load_n(reinterpret_cast<const T*>(from), __ATOMIC_ACQUIRE);
  __builtin_memcpy(to, &v, sizeof v);
  return true;
}

template <typename T>
ADYTON_GUEST_ACCESS bool store_as(uint8_t* to, unsigned size, const void* from) {
  if (size != sizeof(T) || reinterpret_cast<uintptr_t>(to) % sizeof(T) != 0) return false;
  T v;
  __builtin_memcpy(&v, from, sizeof v);
  __atomic_store_n(reinterpret_cast<T*>(to), v, __ATOMIC_RELEASE);
  return true;
}

// Single-copy atomic where the architecture asks for it: aligned accesses up to 8 bytes; pairs of doublewords are two such accesses
// (Arm ARM B2.2.1). The rest goes by bytes.
ADYTON_GUEST_ACCESS void load_bytes(const uint8_t* from, unsigned size, void* to) {
  if (load_as<uint64_t>(from, size, to) || load_as<uint32_t>(from, size, to) || load_as<uint16_t>(from, size, to)) return;
  auto* bytes = static_cast<uint8_t*>(to);
  if (size == 16 && load_as<uint64_t>(from, 8, bytes) && load_as<uint64_t>(from + 8, 8, bytes + 8)) return;
  for (unsigned i = 0; i < size; ++i) bytes[i] = __atomic_load_n(from + i, __ATOMIC_ACQUIRE);
}

ADYTON_GUEST_ACCESS void store_bytes(uint8_t* to, unsigned size, const void* from) {
  if (store_as<uint64_t>(to, size, from) || store_as<uint32_t>(to, size, from) || store_as<uint16_t>(to, size, from)) return;
  const auto* bytes = static_cast<const uint8_t*>(from);
  if (size == 16 && store_as<uint64_t>(to, 8, bytes) && store_as<uint64_t>(to + 8, 8, bytes + 8)) return;
  for (unsigned i = 0; i < size; ++i) __atomic_store_n(to + i, bytes[i], __ATOMIC_RELEASE);
}

#undef ADYTON_GUEST_ACCESS

bool compare_exchange_pair(uint8_t* memory, Pair& expected, Pair desired) {
  bool equal;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(equal), "+m"(*reinterpret_cast<Pair*>(memory)), "+a"(expected.low), "+d"(expected.high)
               : "b"(desired.low), "c"(desired.high)
               : "memory");
  return equal;
}

template <typename T>
uint64_t atomic_op(uint8_t* memory, interp::AtomicOp op, uint64_t operand) {
  auto* p = reinterpret_cast<T*>(memory);
  const T v = static_cast<T>(operand);
  using S = std::make_signed_t<T>;
  auto loop = [&](auto combine) {
    T old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(p, &old, combine(old), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    return old;
  };
  switch (op) {
    case interp::AtomicOp::kAdd: return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
    case interp::AtomicOp::kClear: return __atomic_fetch_and(p, static_cast<T>(~v), __ATOMIC_SEQ_CST);
    case interp::AtomicOp::kXor: return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);
    case interp::AtomicOp::kSet: return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
    case interp::AtomicOp::kSwap: return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
    case interp::AtomicOp::kSignedMax: return loop([&](T old) { return static_cast<S>(old) > static_cast<S>(v) ? old : v; });
    case interp::AtomicOp::kSignedMin: return loop([&](T old) { return static_cast<S>(old) < static_cast<S>(v) ? old : v; });
    case interp::AtomicOp::kUnsignedMax: return loop([&](T old) { return old > v ? old : v; });
    case interp::AtomicOp::kUnsignedMin: return loop([&](T old) { return old < v ? old : v; });
  }
  return 0;
}

template <typename T>
void compare_exchange(uint8_t* memory, void* expected, const void* desired) {
  T old, value;
  std::memcpy(&old, expected, sizeof(T));
  std::memcpy(&value, desired, sizeof(T));
  __atomic_compare_exchange_n(reinterpret_cast<T*>(memory), &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  std::memcpy(expected, &old, sizeof(T));
}

}  // namespace

CpuImpl::Location CpuImpl::locate(uint64_t va, AccessKind kind, bool unprivileged) {
  const arm64::CpuState& cpu = exec_.cpu;
  const View view = cpu.el == 0 || unprivileged ? kUserView : kPrivilegedView;
  const bool write = kind == AccessKind::kWrite || kind == AccessKind::kAtomicReadWrite;
  const uint64_t tag = (va & kPageMask) | exec_.context[view];
  const TlbEntry& entry = exec_.tlb[view][tlb_index(va)];
  const bool hit = (write ? entry.write_tag : entry.read_tag) == tag;
  if (hit || tlb_.refill(view, va, write)) {
    if (!hit) tallies_.tlb_refills.add();
    return {reinterpret_cast<uint8_t*>(va + entry.addend), 0, false, Outcome::kDone};
  }

  tallies_.table_walks.add();
  const arm64::AccessContext context = access_context(unprivileged);
  const arm64::Translation t = arm64::translate(cpu, machine_.memory(), va, kind, context);
  if (t.fault.type != arm64::FaultType::kNone) return {nullptr, 0, false, data_abort(arm64::data_abort_iss(t, kind, context), va)};
  auto page = machine_.memory().slice(t.pa & kPageMask, kPageSize);
  if (page.empty()) return {nullptr, t.pa, false, Outcome::kDone};
  const bool guarded = machine_.monitor().armed(t.pa);
  arm64::Translation cached = t;
  if (context.pan && t.user_read) cached.priv_read = false;
  if (context.pan && t.user_write) cached.priv_write = false;
  if (!outside_.watchpoints || !holds_watchpoint(va)) [[likely]] tlb_.insert(view, va, cached, page.data(), !guarded);
  return {page.data() + (t.pa & (kPageSize - 1)), t.pa, guarded && write, Outcome::kDone};
}

arm64::AccessContext CpuImpl::access_context(bool unprivileged) const {
  const bool user = exec_.cpu.el == 0 || unprivileged;
  return {user ? 0u : 1u, !user && exec_.cpu.pan};
}

Outcome CpuImpl::data_abort(uint32_t iss, uint64_t va) {
  arm64::take_sync_exception(exec_.cpu, arm64::ExceptionClass::kDataAbortLower, iss, exec_.cpu.pc, va);
  pstate_changed();
  return Outcome::kException;
}

Outcome CpuImpl::external_abort(uint64_t va, AccessKind kind, bool unprivileged) {
  arm64::Translation failed;
  failed.fault = {arm64::FaultType::kSyncExternal, 0};
  return data_abort(arm64::data_abort_iss(failed, kind, access_context(unprivileged)), va);
}

Outcome CpuImpl::alignment_abort(uint64_t va, bool write) {
  return data_abort(arm64::data_abort_iss(arm64::Fault{arm64::FaultType::kAlignment, 0}, write, false), va);
}

Outcome CpuImpl::fetch(uint64_t va, uint32_t& insn) {
  exec_.cpu.pc = va;
  const InstructionTlbEntry* entry = instruction_page();
  if (!entry) return Outcome::kException;
  insn = __atomic_load_n(&entry->page->words()[(va & (kPageSize - 1)) / 4], __ATOMIC_RELAXED);
  return Outcome::kDone;
}

Outcome CpuImpl::read(uint64_t va, unsigned size, Access access, void* data) {
  if ((access.acquire || access.release || access.exclusive || access.atomic) && va % size) return alignment_abort(va, false);
  if (Outcome stop = watched(va, size, AccessKind::kRead, access.unprivileged); stop != Outcome::kDone) return stop;
  if (crosses_page(va, size)) {
    const unsigned first = static_cast<unsigned>(kPageSize - (va & (kPageSize - 1)));
    Location low = locate(va, AccessKind::kRead, access.unprivileged);
    if (low.outcome != Outcome::kDone) return low.outcome;
    Location high = locate(va + first, AccessKind::kRead, access.unprivileged);
    if (high.outcome != Outcome::kDone) return high.outcome;
    if (!low.host || !high.host) return alignment_abort(va, false);  // an unaligned access to Device memory
    std::memcpy(data, low.host, first);
    std::memcpy(static_cast<uint8_t*>(data) + first, high.host, size - first);
    return Outcome::kDone;
  }
  Location where = locate(va, AccessKind::kRead, access.unprivileged);
  if (where.outcome != Outcome::kDone) return where.outcome;
  if (!where.host) return device_read(where.pa, size, data);
  if (access.acquire && exec_.release_pending) memory_barrier(true);
  if (size == 16) {
    Pair value;
    std::memcpy(&value, where.host, 16);
    std::memcpy(data, &value, 16);
  } else {
    load_bytes(where.host, size, data);
  }
  return Outcome::kDone;
}

template <typename Store>
void CpuImpl::store_to(const Location& where, Store store) {
  if (where.guarded) {
    machine_.monitor().guarded_store(index_, where.pa, store);
  } else {
    store();
  }
}

Outcome CpuImpl::write(uint64_t va, unsigned size, Access access, const void* data) {
  if ((access.acquire || access.release || access.exclusive || access.atomic) && va % size) return alignment_abort(va, true);
  if (Outcome stop = watched(va, size, AccessKind::kWrite, access.unprivileged); stop != Outcome::kDone) return stop;
  if (crosses_page(va, size)) {
    const unsigned first = static_cast<unsigned>(kPageSize - (va & (kPageSize - 1)));
    Location low = locate(va, AccessKind::kWrite, access.unprivileged);
    if (low.outcome != Outcome::kDone) return low.outcome;
    Location high = locate(va + first, AccessKind::kWrite, access.unprivileged);
    if (high.outcome != Outcome::kDone) return high.outcome;
    if (!low.host || !high.host) return alignment_abort(va, true);
    store_to(low, [&] { std::memcpy(low.host, data, first); });
    store_to(high, [&] { std::memcpy(high.host, static_cast<const uint8_t*>(data) + first, size - first); });
    return Outcome::kDone;
  }
  Location where = locate(va, AccessKind::kWrite, access.unprivileged);
  if (where.outcome != Outcome::kDone) return where.outcome;
  if (!where.host) return device_write(where.pa, size, data);
  store_to(where, [&] { store_bytes(where.host, size, data); });
  if (access.release) exec_.release_pending = 1;
  return Outcome::kDone;
}

Outcome CpuImpl::atomic(uint64_t va, unsigned size, Access, interp::AtomicOp op, uint64_t operand, uint64_t& old_value) {
  if (va % size) return alignment_abort(va, true);
  if (Outcome stop = watched(va, size, AccessKind::kAtomicReadWrite, false); stop != Outcome::kDone) return stop;
  Location where = locate(va, AccessKind::kAtomicReadWrite, false);
  if (where.outcome != Outcome::kDone) return where.outcome;
  // Atomics on Device memory are IMPLEMENTATION DEFINED; like most systems, abort.
  if (!where.host) return external_abort(va, AccessKind::kAtomicReadWrite, false);
  store_to(where, [&] {
    switch (size) {
      case 1: old_value = atomic_op<uint8_t>(where.host, op, operand); break;
      case 2: old_value = atomic_op<uint16_t>(where.host, op, operand); break;
      case 4: old_value = atomic_op<uint32_t>(where.host, op, operand); break;
      default: old_value = atomic_op<uint64_t>(where.host, op, operand); break;
    }
  });
  exec_.release_pending = 0;
  return Outcome::kDone;
}

Outcome CpuImpl::compare_and_swap(uint64_t va, unsigned size, Access, void* expected, const void* desired) {
  if (va % size) return alignment_abort(va, true);
  if (Outcome stop = watched(va, size, AccessKind::kAtomicReadWrite, false); stop != Outcome::kDone) return stop;
  Location where = locate(va, AccessKind::kAtomicReadWrite, false);
  if (where.outcome != Outcome::kDone) return where.outcome;
  if (!where.host) return external_abort(va, AccessKind::kAtomicReadWrite, false);
  store_to(where, [&] {
    switch (size) {
      case 1: compare_exchange<uint8_t>(where.host, expected, desired); break;
      case 2: compare_exchange<uint16_t>(where.host, expected, desired); break;
      case 4: compare_exchange<uint32_t>(where.host, expected, desired); break;
      case 8: compare_exchange<uint64_t>(where.host, expected, desired); break;
      default: {
        Pair old, value;
        std::memcpy(&old, expected, 16);
        std::memcpy(&value, desired, 16);
        compare_exchange_pair(where.host, old, value);
        std::memcpy(expected, &old, 16);
      }
    }
  });
  exec_.release_pending = 0;
  return Outcome::kDone;
}

// Arm ARM C6.2.46: Rs:Rs+1 is compared with [Xn], Rt:Rt+1 is stored, Rs:Rs+1 gets what was there.
bool CpuImpl::compare_and_swap_pair(uint32_t insn) {
  arm64::CpuState& cpu = exec_.cpu;
  const unsigned s = (insn >> 16) & 31, t = insn & 31;
  const bool wide = (insn >> 30) & 1;
  if ((insn & 0xbfa07c00) != 0x08207c00 || s % 2 || t % 2 || s == 30 || t == 30) return false;  // UNDEFINED, or with XZR
  const uint64_t va = cpu.x[(insn >> 5) & 31];
  const View view = cpu.el == 0 ? kUserView : kPrivilegedView;
  const TlbEntry& entry = exec_.tlb[view][tlb_index(va)];
  if (va % (wide ? 16 : 8) || entry.write_tag != ((va & kPageMask) | exec_.context[view])) return false;
  auto* host = reinterpret_cast<uint8_t*>(va + entry.addend);
  uint64_t* expected = &cpu.x[s];
  const uint64_t* desired = &cpu.x[t];
  if (wide) {
    Pair old{expected[0], expected[1]};
    compare_exchange_pair(host, old, {desired[0], desired[1]});
    expected[0] = old.low, expected[1] = old.high;
  } else {
    constexpr uint64_t kWord = 0xffffffff;
    uint64_t old = (expected[0] & kWord) | expected[1] << 32;
    const uint64_t value = (desired[0] & kWord) | desired[1] << 32;
    __atomic_compare_exchange_n(reinterpret_cast<uint64_t*>(host), &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    expected[0] = old & kWord, expected[1] = old >> 32;
  }
  exec_.release_pending = 0;
  return true;
}

Outcome CpuImpl::load_exclusive(uint64_t va, unsigned size, Access access, void* data) {
  if (va % size) return alignment_abort(va, false);
  if (Outcome stop = watched(va, size, AccessKind::kRead, access.unprivileged); stop != Outcome::kDone) return stop;
  // The page is translated for writing where that is allowed, so that arming it and the later store agree; a read-only page cannot be stored to at all.
  Location where = locate(va, AccessKind::kRead, access.unprivileged);
  if (where.outcome != Outcome::kDone) return where.outcome;
  if (!where.host) return external_abort(va, AccessKind::kRead, access.unprivileged);
  const uint64_t pa = physical_address(where.host);
  if (machine_.cpus().size() > 1 && machine_.monitor().arm(pa)) {
    tlb_.flush_writes();
    machine_.broadcast(*this, {Invalidation::Kind::kWrites});
    machine_.await_shootdowns(*this);
  }
  machine_.monitor().load_exclusive(index_, pa, [&] {
    if (size == 16) {
      Pair value{0, 0};
      compare_exchange_pair(where.host, value, value);  // the only 16-byte load that is atomic on every host
      std::memcpy(data, &value, 16);
    } else {
      load_bytes(where.host, size, data);
    }
  });
  if (access.acquire && exec_.release_pending) memory_barrier(true);
  return Outcome::kDone;
}

Outcome CpuImpl::store_exclusive(uint64_t va, unsigned size, Access access, const void* data, bool& failed) {
  if (va % size) return alignment_abort(va, true);
  if (Outcome stop = watched(va, size, AccessKind::kWrite, access.unprivileged); stop != Outcome::kDone) return stop;
  Location where = locate(va, AccessKind::kWrite, access.unprivileged);
  if (where.outcome != Outcome::kDone) return where.outcome;
  if (!where.host) return external_abort(va, AccessKind::kWrite, access.unprivileged);
  failed = !machine_.monitor().store_exclusive(index_, physical_address(where.host), [&] {
    if (size == 16) {
      Pair old, value;
      std::memcpy(&old, where.host, 16);
      std::memcpy(&value, data, 16);
      while (!compare_exchange_pair(where.host, old, value)) {
      }
    } else {
      store_bytes(where.host, size, data);
    }
  });
  memory_barrier(true);
  return Outcome::kDone;
}

void CpuImpl::clear_exclusive() {
  machine_.monitor().clear(index_);
}

uint64_t CpuImpl::physical_address(const uint8_t* host) const {
  for (const GuestRegion& region : machine_.memory().regions()) {
    if (host >= region.host && host < region.host + region.size) return region.base + static_cast<uint64_t>(host - region.host);
  }
  return 0;
}

// --- devices: an access leaves run() with nothing changed, is answered by complete_mmio, and the instruction runs again.

Outcome CpuImpl::device_access(uint64_t pa, unsigned size, bool is_write, uint64_t& data) {
  if (device_.replayed < device_.answered) {
    data = device_.answers[device_.replayed++];
    return Outcome::kDone;
  }
  exit_.reason = Exit::Reason::kMmio;
  exit_.mmio = {pa, data, static_cast<uint8_t>(size), is_write};
  device_.waiting = true;
  device_.pc = exec_.cpu.pc;
  return Outcome::kExit;
}

Outcome CpuImpl::device_read(uint64_t pa, unsigned size, void* data) {
  for (unsigned done = 0; done < size; done += 8) {
    const unsigned part = size - done < 8 ? size - done : 8;
    uint64_t value = 0;
    if (Outcome outcome = device_access(pa + done, part, false, value); outcome != Outcome::kDone) return outcome;
    std::memcpy(static_cast<uint8_t*>(data) + done, &value, part);
  }
  return Outcome::kDone;
}

Outcome CpuImpl::device_write(uint64_t pa, unsigned size, const void* data) {
  for (unsigned done = 0; done < size; done += 8) {
    const unsigned part = size - done < 8 ? size - done : 8;
    uint64_t value = 0;
    std::memcpy(&value, static_cast<const uint8_t*>(data) + done, part);
    if (Outcome outcome = device_access(pa + done, part, true, value); outcome != Outcome::kDone) return outcome;
  }
  return Outcome::kDone;
}

void CpuImpl::complete_mmio(uint64_t data) {
  if (!device_.waiting) return;
  device_.waiting = false;
  if (device_.answered < device_.answers.size()) device_.answers[device_.answered++] = data;
}

}  // namespace adyton::engine::jit
