// Runs further programs beside the payload: one process for each connection that the host makes (guest/exec_protocol.h, kExecPort).
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::guest {

// Where the host connects to. A test has Unix sockets for it.
struct Listener {
  UniqueFd socket;                                   // non-blocking
  uint32_t port = 0;
  std::function<bool(int connection)> is_welcome;    // others are closed
};

class ExecServer {
 public:
  // `open_listener` makes one for the streams of a program; `environment` is what programs have unless they say otherwise.
  ExecServer(Listener listener, std::function<Result<Listener>()> open_listener, std::vector<std::string> environment)
      : listener_(std::move(listener)), open_listener_(std::move(open_listener)), environment_(std::move(environment)) {}

  // Serves until the listener fails. Has children, and their end is nobody's business: SIGCHLD is ignored from here on. To be called in a
  // process with one thread.
  void run();

 private:
  Result<void> serve(UniqueFd control);

  Listener listener_;
  std::function<Result<Listener>()> open_listener_;
  std::vector<std::string> environment_;
};

// `environment`, and what of `defaults` ("NAME=value" as well) it does not set.
std::vector<std::string> with_defaults(std::vector<std::string> environment, const std::vector<std::string>& defaults);

}  // namespace adyton::guest
