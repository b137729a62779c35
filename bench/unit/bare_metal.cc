#include "bench/unit/bare_metal.h"

extern "C" {
extern uint64_t level1_table[512], level2_table[512], level3_tables[64 * 512];
void make_page_tables();
void report_exception(uint64_t syndrome, uint64_t address, uint64_t fault_address);
void unit_main();
}

namespace adyton::bench {
namespace {

// Stage 1 descriptors (Arm ARM D8.3): attribute index in bits 4:2 as enable_mmu sets MAIR, inner shareable, access flag.
constexpr uint64_t kNormal = 1 << 2 | 3 << 8 | 1 << 10, kDevice = 1 << 10 | uint64_t{3} << 53;
constexpr uint64_t kBlock = 1, kTable = 3, kPage = 3, kNonGlobal = 1 << 11;

void put(char c) { *reinterpret_cast<volatile uint32_t*>(kUart) = static_cast<uint8_t>(c); }

}  // namespace

void print(const char* text) {
  for (; *text; ++text) {
    if (*text == '\n') put('\r');
    put(*text);
  }
}

void print_number(uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) put(digits[--count]);
}

uint64_t now_ns() {
  uint64_t ticks, frequency;
  asm volatile("isb\n mrs %0, cntvct_el0\n mrs %1, cntfrq_el0" : "=r"(ticks), "=r"(frequency) : : "memory");
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * 1'000'000'000 / frequency);
}

void report(const char* name, uint64_t ns, uint64_t operations) {
  const uint64_t hundredths = ns * 100 / operations;
  print("unit ");
  print(name);
  print(" ");
  print_number(hundredths / 100);
  put('.');
  put(static_cast<char>('0' + hundredths / 10 % 10));
  put(static_cast<char>('0' + hundredths % 10));
  print("\n");
}

uint64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c) {
  register uint64_t x0 asm("x0") = function;
  register uint64_t x1 asm("x1") = a;
  register uint64_t x2 asm("x2") = b;
  register uint64_t x3 asm("x3") = c;
  asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  return x0;
}

void power_off() {
  psci(0x8400'0008);
  for (;;) asm volatile("wfi");
}

}  // namespace adyton::bench

using namespace adyton::bench;

void make_page_tables() {
  level1_table[0] = kDevice | kBlock;
  level1_table[1] = 0x4000'0000 | kNormal | kBlock;
  level1_table[2] = reinterpret_cast<uint64_t>(level2_table) | kTable;
  for (uint64_t i = 0; i < 64; ++i) level2_table[i] = reinterpret_cast<uint64_t>(level3_tables + i * 512) | kTable;
  for (uint64_t i = 0; i < 64 * 512; ++i) level3_tables[i] = (0x6000'0000 + i * 0x1000) | kNormal | kNonGlobal | kPage;
  for (uint64_t i = 0; i < 64; ++i) level2_table[64 + i] = (0x6000'0000 + i * 0x20'0000) | kNormal | kBlock;
  asm volatile("dsb sy" : : : "memory");
}

void report_exception(uint64_t syndrome, uint64_t address, uint64_t fault_address) {
  print("fail exception: ESR ");
  print_number(syndrome);
  print(" ELR ");
  print_number(address);
  print(" FAR ");
  print_number(fault_address);
  print("\n");
  power_off();
}

void unit_main() {
  uint64_t features;
  asm("mrs %0, id_aa64isar0_el1" : "=r"(features));
  const bool lse = (features >> 20 & 15) >= 2, crypto = (features >> 4 & 15) >= 2 && (features >> 12 & 15) >= 1;
  measure_instructions(lse, crypto);
  measure_memory_management();
  measure_second_cpu(lse);
  print("unit-costs: done\n");
  power_off();
}
