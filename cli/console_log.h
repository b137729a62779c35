// What the guest's serial console says: the last part is kept for the moment something goes wrong, and all of it goes to a file
// when asked.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "observe/crash_report.h"

namespace adyton::cli {

class ConsoleLog {
 public:
  static constexpr size_t kKept = 64 * 1024;  // bytes

  // Bytes also go to these descriptors, which stay the caller's: a log file, the user's stderr.
  void copy_to(int fd, std::string name) { copies_.push_back({fd, std::move(name)}); }

  // Fails when a copy cannot be written; the bytes are kept all the same.
  Result<void> append(std::span<const uint8_t> bytes);

  // Is called when Linux, or somebody who looks like it, says that it has panicked and stays where it is.
  void on_hung_panic(std::function<void()> function) { panicked_ = std::move(function); }

  // The last kKept bytes or less.
  [[nodiscard]] std::string_view tail() const;

  // What Linux said behind "Kernel panic - not syncing: ", if it is in the kept part.
  [[nodiscard]] std::optional<std::string> panic() const;

 private:
  struct Copy {
    int fd;
    std::string name;
  };
  std::string kept_;
  std::vector<Copy> copies_;
  observe::PanicWatch panic_watch_;
  std::function<void()> panicked_;
};

}  // namespace adyton::cli
