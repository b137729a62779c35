// Runs inside QEMU's user mode: reads a processor state and some instructions from standard input, executes them, and writes the
// state that results to standard output, until the input ends. The instructions must not use SP or memory, nor branch.
#define _GNU_SOURCE
#include "engine/interp/testing/qemu_worker.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static struct QemuWorkerState state;
uint64_t host_sp;  // used by the assembly below

_Static_assert(offsetof(struct QemuWorkerState, v) == 256, "the assembly knows it");
_Static_assert(offsetof(struct QemuWorkerState, nzcv) == 768, "the assembly knows it");

// With all registers in use by the instructions under test, SP is what points to the state.
extern char slot[], leave[];  // the instructions; what follows them
void enter(struct QemuWorkerState* s);
__asm__(
    ".text\n"
    ".globl enter, slot, leave\n"
    "enter:\n"
    "  stp x19, x20, [sp, #-160]!\n"
    "  stp x21, x22, [sp, #16]\n"
    "  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n"
    "  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n"
    "  stp d10, d11, [sp, #112]\n"
    "  stp d12, d13, [sp, #128]\n"
    "  stp d14, d15, [sp, #144]\n"
    "  adrp x1, host_sp\n"
    "  add x1, x1, :lo12:host_sp\n"
    "  mov x2, sp\n"
    "  str x2, [x1]\n"
    "  mov sp, x0\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  ldr q\\n, [sp, #(256 + 16 * \\n)]\n"
    "  .endr\n"
    "  ldr w1, [sp, #768]\n"
    "  ldr w2, [sp, #772]\n"
    "  ldr w3, [sp, #776]\n"
    "  msr nzcv, x1\n"
    "  msr fpcr, x2\n"
    "  msr fpsr, x3\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30\n"
    "  ldr x\\n, [sp, #(8 * \\n)]\n"
    "  .endr\n"
    "  b slot\n"
    // A page of its own, so that rewriting it does not throw away QEMU's translation of the rest.
    ".balign 65536\n"
    "slot:\n"
    "  .space 65536\n"
    "leave:\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30\n"
    "  str x\\n, [sp, #(8 * \\n)]\n"
    "  .endr\n"
    "  mrs x1, nzcv\n"
    "  mrs x2, fpcr\n"
    "  mrs x3, fpsr\n"
    "  str w1, [sp, #768]\n"
    "  str w2, [sp, #772]\n"
    "  str w3, [sp, #776]\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  str q\\n, [sp, #(256 + 16 * \\n)]\n"
    "  .endr\n"
    "  msr fpcr, xzr\n"
    "  adrp x1, host_sp\n"
    "  add x1, x1, :lo12:host_sp\n"
    "  ldr x2, [x1]\n"
    "  mov sp, x2\n"
    "  ldp x21, x22, [sp, #16]\n"
    "  ldp x23, x24, [sp, #32]\n"
    "  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n"
    "  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n"
    "  ldp d10, d11, [sp, #112]\n"
    "  ldp d12, d13, [sp, #128]\n"
    "  ldp d14, d15, [sp, #144]\n"
    "  ldp x19, x20, [sp], #160\n"
    "  ret\n");

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)info;
  ucontext_t* uc = context;
  const uint64_t pc = uc->uc_mcontext.pc;
  if (pc < (uint64_t)slot || pc >= (uint64_t)leave) _exit(3);
  state.signal = (uint32_t)number;
  state.signal_position = (uint32_t)((pc - (uint64_t)slot) / 4);
  uc->uc_mcontext.pc = (uint64_t)leave;
}

static int transfer(int writes, char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t n = writes ? write(1, bytes, size) : read(0, bytes, size);
    if (n <= 0) return 0;
    bytes += n;
    size -= (size_t)n;
  }
  return 1;
}

int main(void) {
  static char stack[65536];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
  if (mprotect(slot, 65536, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return 2;

  while (transfer(0, (char*)&state, sizeof state)) {
    if (state.word_count > kQemuWorkerMaxWords) return 4;
    memcpy(slot, state.words, state.word_count * 4);
    char* end = slot + state.word_count * 4;
    const uint32_t branch = 0x14000000 | (uint32_t)((leave - end) / 4);  // B leave
    memcpy(end, &branch, 4);
    __builtin___clear_cache(slot, end + 4);
    state.signal = 0;
    enter(&state);
    if (!transfer(1, (char*)&state, sizeof state)) return 1;
  }
  return 0;
}
