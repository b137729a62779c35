#include "engine/jit/code_cache.h"

#include <sys/mman.h>

#include "base/unique_fd.h"

namespace adyton::engine::jit {

Result<std::unique_ptr<CodeCache>> CodeCache::create(uint64_t size) {
  UniqueFd fd(::memfd_create("adyton-code", MFD_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot make memory for translated code");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return fail_errno("cannot size the memory for translated code");
  Mapping writable = TRY(Mapping::shared(fd.get(), size, PROT_READ | PROT_WRITE));
  Mapping executable = TRY(Mapping::shared(fd.get(), size, PROT_READ | PROT_EXEC));
  return std::unique_ptr<CodeCache>(new CodeCache(std::move(writable), std::move(executable)));
}

CodeCache::CodeCache(Mapping writable, Mapping executable)
    : writable_(std::move(writable)), executable_(std::move(executable)), exec_delta_(executable_.data() - writable_.data()) {}

bool CodeCache::take_chunk(CodeChunk& chunk) {
  std::lock_guard lock(mutex_);
  if (next_ + kHotChunk + kColdChunk > writable_.size()) return false;
  chunk.hot = writable_.data() + next_;
  chunk.hot_end = chunk.hot + kHotChunk;
  chunk.cold = chunk.hot_end;
  chunk.cold_end = chunk.cold + kColdChunk;
  next_ += kHotChunk + kColdChunk;
  return true;
}

void CodeCache::reset() {
  std::lock_guard lock(mutex_);
  next_ = kThunkArea;
}

uint64_t CodeCache::used() const {
  std::lock_guard lock(mutex_);
  return next_;
}

}  // namespace adyton::engine::jit
