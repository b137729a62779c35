// The base initramfs: init, the kernel modules it loads, and the few files that every program expects.
#pragma once
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/image/files.h"
#include "guest/image/kernel_modules.h"

namespace adyton::image {

// An uncompressed cpio archive. An empty `agent`: there is none.
Result<Bytes> build_initramfs(std::span<const uint8_t> init, std::span<const uint8_t> agent, const std::vector<OrderedModule>& modules);

// One initrd from several archives, in a sealed memfd: base first, what is added later wins.
Result<UniqueFd> concatenate_archives(int base, std::span<const uint8_t> appended);

}  // namespace adyton::image
