// A record as text, in a buffer of fixed size: nothing here allocates, and nothing that a guest says makes a line longer, two of
// it, or anything but text. Control characters, bytes that are not UTF-8, and characters that rearrange the text around them on a
// terminal (U+202E and its like) are escaped.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include "base/log/record.h"

namespace adyton::log {

class Line {
 public:
  static constexpr size_t kCapacity = 4096;  // bytes; PIPE_BUF: a pipe takes it whole or not at all

  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t room() const { return kCapacity - size_; }
  void clear() { size_ = 0; }
  void rewind(size_t size) { size_ = size; }
  // False, and nothing is added, when there is no room for all of it.
  bool append(std::string_view text);
  bool append_number(uint64_t value, unsigned min_digits = 1);

 private:
  std::array<char, kCapacity> bytes_;
  size_t size_ = 0;
};

enum class Escape : uint8_t {
  kText,    // \n, \x1b, \u{202e}; a backslash is doubled
  kQuoted,  // the same between quotation marks, which are escaped too
  kJson,    // \n, \u001b, \u202e; what is not UTF-8 becomes U+FFFD
};

// Appends `text`, escaped, and leaves `reserve` bytes of the line free: what there is no room for is cut off, "..." in its place.
void append_escaped(Line& line, std::string_view text, Escape escape, size_t reserve = 0);

// Without a line feed at the end; all of them fit, as fields that are too many are left out and messages that are too long cut.
//
//   2026-03-02T10:15:00.123456Z warning virtio[4711] vm=demo cid=17 device=block: the guest's driver broke the device
//
// Fields come before the message, so that no message can add any.
void write_text(Line& line, const Record& record);
// "virtio[4711] vm=demo cid=17 device=block: the guest's driver broke the device": for a log that keeps time and level by itself.
void write_message(Line& line, const Record& record);
// {"time":"2026-03-02T10:15:00.123456Z","level":"warning","component":"virtio","pid":4711,"vm":"demo","cid":17,...,"message":"..."}
void write_json(Line& line, const Record& record);

}  // namespace adyton::log
