#include "cli/terminal.h"

#include <sys/ioctl.h>

namespace adyton::cli {

std::optional<TerminalSize> terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return std::nullopt;
  return TerminalSize{.rows = size.ws_row, .columns = size.ws_col};
}

Result<void> RawTerminal::raw() {
  termios now{};
  if (::tcgetattr(fd_, &now) != 0) return fail_errno("cannot read the terminal's settings");
  if (!saved_) saved_ = now;
  ::cfmakeraw(&now);
  // TCSADRAIN: what was typed ahead is not thrown away.
  if (::tcsetattr(fd_, TCSADRAIN, &now) != 0) return fail_errno("cannot change the terminal's settings");
  return {};
}

void RawTerminal::restore() {
  if (!saved_) return;
  (void)::tcsetattr(fd_, TCSADRAIN, &*saved_);
  saved_.reset();
}

}  // namespace adyton::cli
