// Control flow that a translator finds hard: interpreters, indirect and virtual calls, deep recursion.
#include <array>
#include <memory>
#include <vector>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

enum Op : uint8_t { kAdd, kXor, kSub, kMultiply, kShift, kLoad, kStore, kSkip, kEnd };
constexpr std::array<uint8_t, 32> kProgram = {
    kAdd,   kXor,      kSub, kMultiply, kXor, kShift, kLoad, kAdd,  kStore,    kMultiply, kSkip, kXor, kSub, kShift, kAdd, kLoad,
    kStore, kMultiply, kXor, kSkip,     kSub, kAdd,   kXor,  kLoad, kMultiply, kShift,    kAdd,  kSub, kXor, kStore, kAdd, kEnd};

// A switch compiled to a jump table.
uint64_t run_switch(uint64_t iterations) {
  uint64_t a = 1, b = 2, c = 3;
  std::array<uint64_t, 16> slots{};
  for (uint64_t round = 0; round < iterations; ++round) {
    for (const uint8_t* op = kProgram.data();;) {
      switch (*op++) {
        case kAdd: a += b; continue;
        case kXor: b ^= a << 1; continue;
        case kSub: c -= a; continue;
        case kMultiply: a = a * 3 + c; continue;
        case kShift: b += c >> 3; continue;
        case kLoad: a ^= slots[c % 16]; continue;
        case kStore: slots[b % 16] = a; continue;
        case kSkip: op += a & 1; continue;
        default: break;
      }
      break;
    }
  }
  return a + b + c;
}

// Direct threading: a jump through a table at the end of every operation.
uint64_t run_threaded(uint64_t iterations) {
  static const void* const labels[] = {&&add, &&exclusive_or, &&sub, &&multiply, &&shift, &&load, &&store, &&skip_one, &&end};
  uint64_t a = 1, b = 2, c = 3;
  std::array<uint64_t, 16> slots{};
  for (uint64_t round = 0; round < iterations; ++round) {
    const uint8_t* op = kProgram.data();
    goto* labels[*op++];
  add:
    a += b;
    goto* labels[*op++];
  exclusive_or:
    b ^= a << 1;
    goto* labels[*op++];
  sub:
    c -= a;
    goto* labels[*op++];
  multiply:
    a = a * 3 + c;
    goto* labels[*op++];
  shift:
    b += c >> 3;
    goto* labels[*op++];
  load:
    a ^= slots[c % 16];
    goto* labels[*op++];
  store:
    slots[b % 16] = a;
    goto* labels[*op++];
  skip_one:
    op += a & 1;
    goto* labels[*op++];
  end:;
  }
  return a + b + c;
}

struct Machine {
  uint64_t a = 1, b = 2, c = 3;
  std::array<uint64_t, 16> slots{};
  const uint8_t* op = nullptr;
};

// One function per operation, called through a table.
uint64_t run_call_table(uint64_t iterations) {
  using Handler = void (*)(Machine&);
  static const std::array<Handler, 8> handlers = {
      [](Machine& m) { m.a += m.b; },
      [](Machine& m) { m.b ^= m.a << 1; },
      [](Machine& m) { m.c -= m.a; },
      [](Machine& m) { m.a = m.a * 3 + m.c; },
      [](Machine& m) { m.b += m.c >> 3; },
      [](Machine& m) { m.a ^= m.slots[m.c % 16]; },
      [](Machine& m) { m.slots[m.b % 16] = m.a; },
      [](Machine& m) { m.op += m.a & 1; },
  };
  Machine machine;
  for (uint64_t round = 0; round < iterations; ++round) {
    machine.op = kProgram.data();
    for (uint8_t op; (op = *machine.op++) != kEnd;) handlers[op](machine);
  }
  return machine.a + machine.b + machine.c;
}

class Shape {
 public:
  virtual ~Shape() = default;
  virtual uint64_t area(uint64_t x) const = 0;
};
template <uint64_t kFactor>
class ShapeOf final : public Shape {
 public:
  uint64_t area(uint64_t x) const override { return x * kFactor + (x >> kFactor); }
};

std::vector<std::unique_ptr<Shape>>& shapes() {
  static std::vector<std::unique_ptr<Shape>> all = [] {
    std::vector<std::unique_ptr<Shape>> made;
    Random random(8);
    for (int i = 0; i < 1024; ++i) {
      switch (random.below(4)) {
        case 0: made.push_back(std::make_unique<ShapeOf<1>>()); break;
        case 1: made.push_back(std::make_unique<ShapeOf<3>>()); break;
        case 2: made.push_back(std::make_unique<ShapeOf<5>>()); break;
        default: made.push_back(std::make_unique<ShapeOf<7>>());
      }
    }
    return made;
  }();
  return all;
}

uint64_t run_virtual(uint64_t iterations) {
  uint64_t sum = 1;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (const auto& shape : shapes()) sum = shape->area(sum) & 0xffffffff;
  }
  return sum;
}

__attribute__((noinline)) uint64_t fibonacci(uint64_t n) {
  keep(n);
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

uint64_t run_recursion(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) sum += fibonacci(18);
  return sum;
}

// N queens: recursion with data-dependent branches.
uint32_t queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
  if (columns == all) return 1;
  uint32_t solutions = 0;
  for (uint32_t free = all & ~(columns | left | right); free != 0;) {
    const uint32_t bit = free & -free;
    free ^= bit;
    solutions += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return solutions;
}

uint64_t run_queens(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) sum += queens(0x7f, 0, 0, 0);
  return sum;
}

}  // namespace

std::span<const Benchmark> interpreter_benchmarks() {
  static const Benchmark all[] = {
      {"int.interp_switch", "ns", 32, run_switch},   {"int.interp_threaded", "ns", 32, run_threaded},
      {"int.interp_call", "ns", 32, run_call_table}, {"int.virtual_call", "ns", 1024, run_virtual},
      {"int.recursion", "ns", 8361, run_recursion},  // calls in fibonacci(18)
      {"int.queens", "ns", 1, run_queens},
  };
  return all;
}

}  // namespace adyton::bench
