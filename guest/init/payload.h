// Starts the payload as a child with its own session, and its standard streams on pipes or on a pty.
#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/exec_protocol.h"

namespace adyton::guest {

// Our ends of the payload's streams; all non-blocking. With a terminal only `terminal` is valid.
struct PayloadStreams {
  UniqueFd stdin_writer;
  UniqueFd stdout_reader;
  UniqueFd stderr_reader;
  UniqueFd terminal;  // the pty's master side
};

struct Payload {
  pid_t pid = -1;  // also its session and process group
  PayloadStreams streams;
};

// Fails with what the host should be told. On success the program has been executed (not just forked).
std::expected<Payload, ExecFailed> start_payload(const ExecRequest& request);

// The environment that `request` asks for, with the variables that every program expects.
std::vector<std::string> payload_environment(const ExecRequest& request);

void set_window_size(int terminal, uint16_t rows, uint16_t columns);

}  // namespace adyton::guest
