// The wire format of Protocol Buffers (protobuf.dev, "Encoding"): a message is a run of fields, each a tag and a value. As much
// of it as a writer of traces needs.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace adyton::trace {

class ProtoEncoder {
 public:
  void varint(uint32_t field, uint64_t value) {
    tag(field, kVarint);
    raw(value);
  }
  void bytes(uint32_t field, std::string_view value) {
    tag(field, kLength);
    raw(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
  }
  void message(uint32_t field, const ProtoEncoder& value) {
    bytes(field, {reinterpret_cast<const char*>(value.out_.data()), value.out_.size()});
  }
  void clear() { out_.clear(); }
  [[nodiscard]] const std::vector<uint8_t>& data() const { return out_; }

 private:
  static constexpr uint32_t kVarint = 0, kLength = 2;  // wire types

  void tag(uint32_t field, uint32_t wire_type) { raw(uint64_t{field} << 3 | wire_type); }
  // Seven bits at a time, the low ones first; the top bit says that more follow.
  void raw(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<uint8_t>(value | 0x80));
    out_.push_back(static_cast<uint8_t>(value));
  }

  std::vector<uint8_t> out_;
};

}  // namespace adyton::trace
