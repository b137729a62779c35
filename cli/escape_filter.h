// What a user types on a console, without the keys that are for us: at the beginning of a line, ~. leaves and ~~ is one ~, as in ssh.
#pragma once
#include <cstdint>
#include <span>

namespace adyton::cli {

class EscapeFilter {
 public:
  // Drops keys; returns how many remain, at the front. No key waits for the next one: a ~ goes at once, and the dot of ~. becomes a
  // rubout (0x7f) that takes it back.
  size_t operator()(std::span<uint8_t> keys);

  // ~. was typed: what came behind it is dropped.
  [[nodiscard]] bool left() const { return left_; }

 private:
  bool line_begins_ = true;
  bool tilde_ = false;  // the last key, at the beginning of a line
  bool left_ = false;
};

}  // namespace adyton::cli
