// Rows that repeat one instruction, or a few, in a loop.
#include "bench/unit/bare_metal.h"

extern "C" {
void call_same_page(uint64_t iterations);
void call_cross_page(uint64_t iterations);
void call_indirect(uint64_t iterations, const void* const* table);
extern const char call_targets[];
}

namespace adyton::bench {
namespace {

alignas(4096) uint64_t buffer[1024];

// `text` holds `operations` of what is counted; the loop around it costs two instructions per pass. Results go to several
// registers, or feed the next operation: an operation whose result is overwritten unread may be left out by a translator.
#define X2(text) text text
#define X4(text) text text text text
#define X16(text) X4(X4(text))
#define ROW(name, operations, setup, text)                                                                              \
  measure(name, operations, [](uint64_t passes) {                                                                       \
    asm volatile(setup "1:\n" text "subs %0, %0, #1\n b.ne 1b\n"                                                        \
                 : "+r"(passes)                                                                                         \
                 : "r"(buffer), "r"(0x1234567812345678), "r"(kUart)                                                     \
                 : "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "cc", "memory"); \
  })

void set_fpsr(uint64_t value) { asm volatile("msr fpsr, %0" : : "r"(value)); }

void measure_integer() {
  ROW("add_dependent", 16, "", X16("add x9, x9, #1\n"));
  ROW("add_independent", 16, "", X4("add x9, x9, #1\n add x10, x10, #2\n add x11, x11, #3\n add x12, x12, #4\n"));
  ROW("shift_logic_mix", 16, "", X4("add x9, x9, %2\n eor x10, x9, x9, lsr #7\n orr x11, x10, x9\n ubfx x12, x11, #3, #17\n"));
  ROW("madd", 16, "", X16("madd x9, x9, %2, x10\n"));
  ROW("udiv", 4, "mov x10, #12345\n", "udiv x9, %2, x10\n udiv x11, %2, x10\n udiv x12, %2, x10\n udiv x13, %2, x10\n");
  ROW("cmp_csel", 8, "", X4("cmp x9, %2\n csel x9, x10, x11, lt\n") X4("cmp x9, %2\n csel x9, x10, x11, lt\n"));
  ROW("adds_adcs", 8, "", X4("adds x9, x9, %2\n adcs x10, x10, %2\n"));
  ROW("cmp_branch_not_taken", 4, "", X4("cmp %2, #5\n b.eq 1b\n"));
  ROW("loop", 1, "", "");
  ROW("crc32x", 4, "", X4("crc32x w9, w9, %2\n"));
}

void measure_calls() {
  measure("call_return_same_page", 4, [](uint64_t n) { call_same_page(n); });
  measure("call_return_cross_page", 4, [](uint64_t n) { call_cross_page(n); });
  const void* targets[8];
  for (const void*& target : targets) target = call_targets;
  measure("indirect_call_1_target", 1, [&](uint64_t n) { call_indirect(n, targets); });
  for (int i = 0; i < 8; ++i) targets[i] = call_targets + 64 * i;
  measure("indirect_call_8_targets", 1, [&](uint64_t n) { call_indirect(n, targets); });
}

void measure_memory(bool lse) {
  for (uint64_t i = 0; i < 1024; ++i) buffer[i] = i;
  buffer[0] = 0;  // the chain of loads stays at one address
  ROW("load", 16, "", X4("ldr x9, [%1]\n ldr x10, [%1, #8]\n ldr x11, [%1, #16]\n ldr x12, [%1, #24]\n"));
  ROW("load_dependent", 4, "mov x9, xzr\n", X4("ldr x9, [%1, x9]\n"));
  ROW("store", 16, "", X4("str x9, [%1, #512]\n str x10, [%1, #520]\n str x11, [%1, #528]\n str x12, [%1, #536]\n"));
  ROW("ldp_stp", 8, "", X4("ldp x9, x10, [%1]\n stp x9, x10, [%1, #64]\n"));
  ROW("load_store_q", 8, "", X4("ldr q0, [%1]\n str q0, [%1, #64]\n"));
  ROW("ldar", 4, "", X4("ldar x9, [%1]\n"));
  ROW("stlr", 4, "", X4("stlr x9, [%1]\n"));
  ROW("stlr_ldar_pair", 4, "", X4("stlr x9, [%1]\n ldar x10, [%1]\n"));
  ROW("store_load_pair", 4, "", X4("str x9, [%1]\n ldr x10, [%1, #64]\n"));
  ROW("store_dmb_load", 4, "", X4("str x9, [%1]\n dmb ish\n ldr x10, [%1, #64]\n"));
  ROW("load_dmbld_load", 4, "", X4("ldr x9, [%1]\n dmb ishld\n ldr x10, [%1, #64]\n"));
  ROW("store_dmbst_store", 4, "", X4("str x9, [%1]\n dmb ishst\n str x10, [%1, #64]\n"));
  ROW("ldxr_stxr", 1, "", "2: ldxr x9, [%1]\n add x9, x9, #1\n stxr w10, x9, [%1]\n cbnz w10, 2b\n");
  ROW("ldaxr_stlxr", 1, "", "2: ldaxr x9, [%1]\n add x9, x9, #1\n stlxr w10, x9, [%1]\n cbnz w10, 2b\n");
  if (!lse) return;
  ROW("ldadd", 4, "", X4("ldadd %2, x9, [%1]\n"));
  ROW("casal", 4, "", X4("casal x9, x10, [%1]\n"));
  ROW("swpal", 4, "", X4("swpal x9, x10, [%1]\n"));
  ROW("stset", 4, "", X4("stset x9, [%1]\n"));
  ROW("casp", 4, "mov x12, #0\n", X4("casp x10, x11, x12, x13, [%1]\n"));
}

void measure_floating_point() {
  // With FPSR.IXC clear, and set: QEMU uses the host's FPU only when the inexact flag is set already.
  set_fpsr(0);
  ROW("fadd_d", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", X4("fadd d0, d0, d1\n"));
  ROW("fmul_d", 4, "fmov d1, #1.5\n", "fmul d0, d1, d1\n fmul d2, d1, d1\n fmul d3, d1, d1\n fmul d4, d1, d1\n");
  ROW("fmadd_d", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", X4("fmadd d0, d1, d1, d0\n"));
  ROW("fmla_4s", 4, "fmov v1.4s, #1.0\n fmov v2.4s, #1.5\n movi v0.4s, #0\n", X4("fmla v0.4s, v1.4s, v2.4s\n"));
  set_fpsr(1 << 4);
  ROW("fadd_d_inexact", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", X4("fadd d0, d0, d1\n"));
  ROW("fmul_d_inexact", 4, "fmov d1, #1.5\n", "fmul d0, d1, d1\n fmul d2, d1, d1\n fmul d3, d1, d1\n fmul d4, d1, d1\n");
  ROW("fmadd_d_inexact", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", X4("fmadd d0, d1, d1, d0\n"));
  ROW("fmla_4s_inexact", 4, "fmov v1.4s, #1.0\n fmov v2.4s, #1.5\n movi v0.4s, #0\n", X4("fmla v0.4s, v1.4s, v2.4s\n"));
  ROW("fadd_s", 4, "fmov s0, #1.0\n fmov s1, #1.5\n", X4("fadd s0, s0, s1\n"));
  ROW("fdiv_d", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", "fdiv d2, d0, d1\n fdiv d3, d0, d1\n fdiv d4, d0, d1\n fdiv d5, d0, d1\n");
  ROW("fsqrt_d", 4, "fmov d1, #1.5\n", "fsqrt d2, d1\n fsqrt d3, d1\n fsqrt d4, d1\n fsqrt d5, d1\n");
  ROW("fcmp_branch", 4, "fmov d0, #1.0\n fmov d1, #1.5\n", X4("fcmp d0, d1\n b.gt 1b\n"));
  ROW("scvtf_fcvtzs", 4, "mov x9, #7\n", X4("scvtf d0, x9\n fcvtzs x9, d0\n"));
  ROW("fadd_2d", 4, "fmov v1.2d, #1.0\n fmov v2.2d, #1.5\n",
      "fadd v0.2d, v1.2d, v2.2d\n fadd v3.2d, v1.2d, v2.2d\n fadd v4.2d, v1.2d, v2.2d\n fadd v5.2d, v1.2d, v2.2d\n");
  set_fpsr(0);
}

void measure_neon(bool crypto) {
  ROW("add_4s", 4, "", "add v0.4s, v1.4s, v2.4s\n add v3.4s, v1.4s, v2.4s\n add v4.4s, v1.4s, v2.4s\n add v5.4s, v1.4s, v2.4s\n");
  ROW("mul_4s", 4, "", "mul v0.4s, v1.4s, v2.4s\n mul v3.4s, v1.4s, v2.4s\n mul v4.4s, v1.4s, v2.4s\n mul v5.4s, v1.4s, v2.4s\n");
  ROW("tbl_16b", 4, "",
      "tbl v0.16b, {v1.16b}, v2.16b\n tbl v3.16b, {v1.16b}, v2.16b\n tbl v4.16b, {v1.16b}, v2.16b\n tbl v5.16b, {v1.16b}, "
      "v2.16b\n");
  ROW("addv_4s", 4, "", "addv s0, v1.4s\n addv s3, v1.4s\n addv s4, v1.4s\n addv s5, v1.4s\n");
  if (!crypto) return;
  ROW("aese_aesmc", 4, "", X4("aese v0.16b, v1.16b\n aesmc v0.16b, v0.16b\n"));
  ROW("sha256h", 4, "", X4("sha256h q0, q1, v2.4s\n"));
  ROW("pmull_1q", 4, "",
      "pmull v0.1q, v1.1d, v2.1d\n pmull v3.1q, v1.1d, v2.1d\n pmull v4.1q, v1.1d, v2.1d\n pmull v5.1q, v1.1d, v2.1d\n");
}

void measure_system() {
  ROW("mrs_tpidr", 4, "", X4("mrs x9, tpidr_el0\n"));
  ROW("mrs_cntvct", 4, "", X4("mrs x9, cntvct_el0\n"));
  ROW("daif_set_clear", 1, "", "msr daifset, #2\n msr daifclr, #2\n");
  ROW("isb", 4, "", X4("isb\n"));
  ROW("dsb_ish", 4, "", X4("dsb ish\n"));
  ROW("svc_eret", 1, "", "svc #0\n");
  ROW("uart_register_read", 1, "", "ldr w9, [%3, #0x18]\n");
}

}  // namespace

void measure_instructions(bool lse, bool crypto) {
  measure_integer();
  measure_calls();
  measure_memory(lse);
  measure_floating_point();
  measure_neon(crypto);
  measure_system();
}

}  // namespace adyton::bench
