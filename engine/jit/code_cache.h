// Memory for translated code: one region mapped twice, writable here and executable there, never both in one view.
//
// Translating threads take chunks (a hot one and a cold one) and fill them without locks. Nothing is freed but everything at once: when the region is
// used up, the machine brings every vCPU out of translated code and calls reset().
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/mapping.h"
#include "base/result.h"
#include "engine/x64/state_layout.h"

namespace adyton::engine::jit {

struct CodeChunk {
  uint8_t* hot = nullptr;
  uint8_t* hot_end = nullptr;
  uint8_t* cold = nullptr;
  uint8_t* cold_end = nullptr;
};

class CodeCache {
 public:
  static Result<std::unique_ptr<CodeCache>> create(uint64_t size);

  static constexpr uint64_t kHotChunk = 256 << 10, kColdChunk = 384 << 10;

  // A fresh chunk; false when the region is used up.
  bool take_chunk(CodeChunk& chunk);
  // Forgets all code but the thunks. No vCPU may be in translated code or hold a chunk.
  void reset();

  [[nodiscard]] ptrdiff_t exec_delta() const { return exec_delta_; }
  [[nodiscard]] uint64_t used() const;
  // Room for the runtime's thunks, at the start of the region.
  [[nodiscard]] uint8_t* thunk_area() const { return writable_.data(); }
  static constexpr uint64_t kThunkArea = 64 << 10;

 private:
  CodeCache(Mapping writable, Mapping executable);

  Mapping writable_, executable_;
  const ptrdiff_t exec_delta_;
  mutable std::mutex mutex_;
  uint64_t next_ = kThunkArea;
};

}  // namespace adyton::engine::jit
