// The functions that translated code calls, with the C calling convention. Each finds its CpuImpl through ExecState::owner.
#pragma once
#include "engine/arm64/translate/translator.h"
#include "engine/jit/thunks.h"

namespace adyton::engine::jit {

// Result registers rax and rdx of helpers that may not come back to their block: `resume` null means go on behind the call.
struct HelperResult {
  uint64_t value = 0;
  const void* resume = nullptr;
};

RuntimeEntries runtime_entries();
arm64::TranslatorHelpers translator_helpers();
void set_slow_paths(x64::RuntimeThunks& thunks);

}  // namespace adyton::engine::jit
