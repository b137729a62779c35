// What qemu_oracle.cc and the program that it runs inside QEMU say to each other: one request, one answer, both of this shape.
// Compiled for the host and for the guest, both little-endian LP64.
#pragma once
#include <stdint.h>

enum { kQemuWorkerMaxWords = 64 };

struct QemuWorkerState {
  uint64_t x[32];  // x[31] is unused
  uint64_t v[64];
  uint32_t nzcv;  // bits 31:28
  uint32_t fpcr;
  uint32_t fpsr;
  uint32_t signal;           // answer: 0, or the number of the signal that ended the run
  uint32_t signal_position;  // answer: in words
  uint32_t word_count;
  uint32_t words[kQemuWorkerMaxWords];
};
