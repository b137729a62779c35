// The user's terminal: its size, and raw mode that never outlives us.
#pragma once
#include <termios.h>

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace adyton::cli {

struct TerminalSize {
  uint16_t rows = 24;
  uint16_t columns = 80;
};

// The size of the terminal behind `fd`, or nothing when it is none or does not know.
std::optional<TerminalSize> terminal_size(int fd);

// While it lives and raw() was called, keys arrive as bytes: no echo, no line editing, no signals. The destructor restores what
// was.
class RawTerminal {
 public:
  explicit RawTerminal(int fd) : fd_(fd) {}
  ~RawTerminal() { restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // May be called again (after the process was stopped and continued).
  Result<void> raw();
  void restore();
  [[nodiscard]] bool is_raw() const { return saved_.has_value(); }

 private:
  int fd_;
  std::optional<termios> saved_;
};

}  // namespace adyton::cli
