// The socket on which gdb finds a virtual machine. The VM's process opens none: it gets this one.
#pragma once
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/options.h"

namespace adyton::cli {

class DebugListener {
 public:
  // `address` is unix:PATH, :PORT or HOST:PORT, where HOST is this machine: whoever can connect owns the guest. Port 0: any free one.
  static Result<DebugListener> open(const std::string& address);
  DebugListener(DebugListener&& other) noexcept;
  DebugListener& operator=(DebugListener&&) = delete;
  ~DebugListener();  // the path is removed, unless keep() was called

  [[nodiscard]] UniqueFd take() { return std::move(fd_); }
  void keep() { path_.clear(); }
  // What comes behind gdb's `target remote`.
  [[nodiscard]] const std::string& target() const { return target_; }

 private:
  DebugListener(UniqueFd fd, std::string path, std::string target);

  UniqueFd fd_;
  std::string path_;  // of a Unix socket
  std::string target_;
};

// `adyton gdb`: lets a debugger attach to a VM that runs.
int debug(const DebugOptions& options);

}  // namespace adyton::cli
