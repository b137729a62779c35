// Puts what boots into guest memory: an arm64 Linux Image (plain, gzip, zstd, or an EFI zboot image), a flat binary, firmware, an
// initrd.
//
// All input is hostile. Errors are one sentence without the file's name, which the caller adds.
#pragma once
#include <cstdint>
#include <span>

#include "base/guest_memory.h"
#include "base/result.h"
#include "vmm/byte_source.h"

namespace adyton::vmm {

struct LoadedKernel {
  GuestPhysAddr entry = 0;
  GuestPhysAddr end = 0;  // first byte behind the image and the zeroed memory that it needs
};

// Documentation/arch/arm64/booting.rst. `ram` is one region of guest memory, 2 MiB aligned, all zeroes yet.
Result<LoadedKernel> load_kernel(const ByteSource& source, const GuestRegion& ram);

// Any other program that runs from kFlatOffset in RAM (tests, small systems without the Image header).
constexpr uint64_t kFlatOffset = 0x80000;
Result<LoadedKernel> load_flat(const ByteSource& source, const GuestRegion& ram);

// Firmware that starts in read-only memory: to the start of `rom`.
Result<LoadedKernel> load_firmware(const ByteSource& source, const GuestRegion& rom);

// Reads all of `source` to `base`, which must lie in `ram`.
Result<void> load_initrd(const ByteSource& source, const GuestRegion& ram, GuestPhysAddr base);

}  // namespace adyton::vmm
