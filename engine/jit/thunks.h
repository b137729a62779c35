// The runtime's hand-made code: entering and leaving translated code, and the ways from translated code into the C++ runtime.
#pragma once
#include "engine/jit/code_cache.h"
#include "engine/jit/exec_state.h"
#include "engine/x64/state_layout.h"

namespace adyton::engine::jit {

// Offsets of ExecState as the compiler wants them.
const x64::StateLayout& state_layout();

// The runtime functions that thunks call. All return the host address to go on at.
struct RuntimeEntries {
  const void* (*translate)(ExecState*, uint64_t page_offset) = nullptr;
  const void* (*find_indirect)(ExecState*, uint64_t virtual_address) = nullptr;
  const void* (*link)(ExecState*, uint64_t page_offset, uint64_t field) = nullptr;
};

struct Thunks {
  void (*enter)(ExecState*, const void* code) = nullptr;   // returns when translated code jumps to `leave`
  const void* leave = nullptr;
  const void* invalidated = nullptr;                       // what invalidated blocks call
  x64::RuntimeThunks for_compiler;                         // without the slow paths, which are C++ functions
};

Thunks emit_thunks(CodeCache& cache, const RuntimeEntries& entries);

}  // namespace adyton::engine::jit
