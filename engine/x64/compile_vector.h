// Shared by the files that compile vector operations.
#pragma once
#include "engine/x64/block_compiler.h"

// Both forms of an instruction, for BlockCompiler::emit2.
#define ADYTON_X64_VECTOR_OP(name) \
  VectorOpOrMem { &Assembler::name<Xmm>, &Assembler::name<Mem> }
