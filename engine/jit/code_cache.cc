#include "engine/jit/code_cache.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include <cerrno>

#include "base/unique_fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3
#endif

namespace adyton::engine::jit {
namespace {

// No execute permission, and none can be given: that is about execve(), mappings may execute. Linux before 6.3 does not know the
// flag; with the sysctl vm.memfd_noexec=2 later ones insist on it.
UniqueFd make_memfd() {
  UniqueFd fd(::memfd_create("adyton-code", MFD_CLOEXEC | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd.reset(::memfd_create("adyton-code", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return fd;
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(uint64_t size) {
  const UniqueFd fd = make_memfd();
  if (!fd.valid()) return fail_errno("cannot make memory for translated code");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return fail_errno("cannot size the memory for translated code");
  Mapping writable = TRY(Mapping::shared(fd.get(), size, PROT_READ | PROT_WRITE));
  // No mapping from here on is writable, nor can be made so: mprotect() cannot turn the executable view into both.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
    return fail_errno("cannot seal the memory for translated code");
  }
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
