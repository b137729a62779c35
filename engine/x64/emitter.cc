#include "engine/x64/emitter.h"

#include <algorithm>

namespace adyton::engine::x64 {
namespace {

// The recommended multi-byte forms (SDM volume 2, NOP).
constexpr unsigned kLongestNop = 9;
constexpr uint8_t kNops[kLongestNop][kLongestNop] = {
    {0x90},
    {0x66, 0x90},
    {0x0F, 0x1F, 0x00},
    {0x0F, 0x1F, 0x40, 0x00},
    {0x0F, 0x1F, 0x44, 0x00, 0x00},
    {0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00},
    {0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00},
    {0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    {0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
};

}  // namespace

void Emitter::nop(unsigned bytes) {
  while (bytes != 0 && !overflowed_) {
    const unsigned length = std::min(bytes, kLongestNop);
    uint8_t* p = start();
    std::memcpy(p, kNops[length - 1], length);
    finish(p + length);
    bytes -= length;
  }
}

void Emitter::overflow() {
  overflowed_ = true;
  cursor_ = scratch_;
  limit_ = scratch_;
}

void Emitter::resolve(Label& label) {
  if (!overflowed_) {
    for (uint8_t* field = label.last_near_; field != nullptr;) {
      int32_t link;
      std::memcpy(&link, field, sizeof link);
      put(field, static_cast<int32_t>(label.position_ - (field + 4)));
      field = link == 0 ? nullptr : field - link;
    }
    for (uint8_t* field = label.last_short_; field != nullptr;) {
      const uint8_t link = *field;
      const ptrdiff_t distance = label.position_ - (field + 1);
      if (distance > INT8_MAX) out_of_reach_ = true;
      *field = static_cast<uint8_t>(distance);
      field = link == 0 ? nullptr : field - link;
    }
  }
  label.last_near_ = nullptr;
  label.last_short_ = nullptr;
}

}  // namespace adyton::engine::x64
