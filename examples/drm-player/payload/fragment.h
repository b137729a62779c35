// Reads a fragment of an MP4 file (ISO/IEC 14496-12): where the frames are, and how each is encrypted (ISO/IEC 23001-7). The
// bytes come from outside and may be anything.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace drm {

using Bytes = std::vector<uint8_t>;

// So many bytes as they are, then so many encrypted.
struct Subsample {
  uint32_t clear = 0;
  uint32_t encrypted = 0;
};

struct EncryptedFrame {
  std::span<const uint8_t> bytes;     // of the fragment
  std::span<const uint8_t> iv;        // 8 or 16 bytes; none with a constant IV
  std::vector<Subsample> subsamples;  // they fill `bytes`; none: all of it is encrypted
};

// The frames of the box 'moof' that follows in the box 'mdat' behind it: one track and one run. `iv_size`: 0, 8 or 16. The result
// points into `fragment`. Fails with a sentence that says what is wrong.
adyton::Result<std::vector<EncryptedFrame>> read_fragment(std::span<const uint8_t> fragment, size_t iv_size);

// How many network abstraction layer units a frame has: each is preceded by its length, 4 bytes (ISO/IEC 14496-15). Fails when
// they do not fill it.
adyton::Result<int> count_nal_units(std::span<const uint8_t> frame);

}  // namespace drm
