// Rows about address translation, its maintenance, and code that is new to the CPU.
#include "bench/unit/bare_metal.h"

extern "C" {
extern uint64_t level1_table[512];
extern const uint32_t patched_function[];
}

namespace adyton::bench {
namespace {

constexpr uint64_t kPageSize = 4096;
uint64_t sink;

void touch(uint64_t base, uint64_t pages) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < pages; ++i) sum += *reinterpret_cast<const volatile uint8_t*>(base + i * kPageSize);
  sink += sum;
}

void set_asid(uint64_t asid) {
  asm volatile("msr ttbr0_el1, %0\n isb" : : "r"(reinterpret_cast<uint64_t>(level1_table) | asid << 48) : "memory");
}

void measure_tlb() {
  touch(kSmallPages, 32768);
  measure("touch_64_pages", 64, [](uint64_t n) {
    while (n--) touch(kSmallPages, 64);
  });
  measure("touch_4096_pages", 4096, [](uint64_t n) {
    while (n--) touch(kSmallPages, 4096);
  });
  measure("touch_32768_pages", 32768, [](uint64_t n) {
    while (n--) touch(kSmallPages, 32768);
  });
  measure("touch_32768_in_2M_blocks", 32768, [](uint64_t n) {
    while (n--) touch(kLargePages, 32768);
  });
  measure("asid_switch", 1, [](uint64_t n) {
    while (n--) set_asid(1 + n % 2);
  });
  measure("asid_switch_64_pages", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      set_asid(1 + n % 2);
      touch(kSmallPages, 64);
    }
  });
  measure("ttbr_rewrite_64_pages", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      set_asid(1);
      touch(kSmallPages, 64);
    }
  });
  measure("tlbi_va_refill", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      asm volatile("tlbi vae1, %0\n dsb nsh\n isb" : : "r"(kSmallPages >> 12 | uint64_t{1} << 48) : "memory");
      touch(kSmallPages, 1);
    }
  });
  measure("tlbi_va_broadcast_refill", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      asm volatile("tlbi vae1is, %0\n dsb ish\n isb" : : "r"(kSmallPages >> 12 | uint64_t{1} << 48) : "memory");
      touch(kSmallPages, 1);
    }
  });
  measure("tlbi_all_64_pages", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      asm volatile("tlbi vmalle1is\n dsb ish\n isb" : : : "memory");
      touch(kSmallPages, 64);
    }
  });
  set_asid(0);
}

void synchronize_code(const void* begin, const void* end) {
  const auto first = reinterpret_cast<uint64_t>(begin), last = reinterpret_cast<uint64_t>(end);
  for (uint64_t line = first & ~uint64_t{15}; line < last; line += 16) asm volatile("dc cvau, %0" : : "r"(line) : "memory");
  asm volatile("dsb ish" : : : "memory");
  for (uint64_t line = first & ~uint64_t{15}; line < last; line += 16) asm volatile("ic ivau, %0" : : "r"(line) : "memory");
  asm volatile("dsb ish\n isb" : : : "memory");
}

// Straight-line code that has never run: blocks of eight instructions that end with a branch to the next.
void measure_new_code() {
  static constexpr uint32_t block[8] = {
      0x91000400,  // add x0, x0, #1
      0xf9400028,  // ldr x8, [x1]
      0x8b080000,  // add x0, x0, x8
      0xf100001f,  // cmp x0, #0
      0xca080c00,  // eor x0, x0, x8, lsl #3
      0xd1000409,  // sub x9, x0, #1
      0x91002129,  // add x9, x9, #8
      0x54000021,  // b.ne .+4
  };
  constexpr uint64_t kBlocks = 20000;
  auto* code = reinterpret_cast<volatile uint32_t*>(kScratchCode);
  uint64_t at = 0;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    for (const uint32_t word : block) code[at++] = word;
  }
  code[at++] = 0xd65f03c0;  // ret
  synchronize_code(const_cast<uint32_t*>(code), const_cast<uint32_t*>(code + at));
  const auto run = reinterpret_cast<uint64_t (*)(uint64_t, const uint64_t*)>(kScratchCode);
  static constexpr const char* names[] = {"new_code_per_instruction", "code_second_run_per_instruction"};
  for (const char* name : names) {
    const uint64_t start = now_ns();
    sink += run(1, &sink);
    report(name, now_ns() - start, kBlocks * 8);
  }
}

void measure_patching() {
  auto* code = const_cast<volatile uint32_t*>(patched_function);
  measure("patch_and_call", 1, [code](uint64_t n) {
    for (; n > 0; --n) {
      *code = 0x52800000 | (static_cast<uint32_t>(n) & 0xff) << 5;  // mov w0, #n
      asm volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb" : : "r"(code) : "memory");
      sink += reinterpret_cast<uint64_t (*)()>(reinterpret_cast<uint64_t>(code))();
    }
  });
}

}  // namespace

void measure_memory_management() {
  measure_tlb();
  measure_new_code();
  measure_patching();
}

}  // namespace adyton::bench
