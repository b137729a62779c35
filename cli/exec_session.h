// One further program in a VM, from a connection to the guest's exec server to an exit code: an event loop between the guest's
// init, the user's streams, terminal and signals (guest/exec_protocol.h, kExecPort).
//
//   greeting -> starting -> running -> draining
//
// Everything reaches it as a descriptor, so that a test can play the guest and the user. Threading: one thread.
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/channel.h"
#include "cli/exec_connection.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {

struct ExecSessionConfig {
  UniqueFd control;                                        // a stream to kExecPort of the guest
  std::function<Result<UniqueFd>(uint32_t port)> connect;  // a stream to another port of it
  guest::ExecRequest request;
  std::array<UniqueFd, 3> stdio;  // from open_endpoint(), or any other
  int signals = -1;               // a signalfd, or what behaves like one; -1: none
  int terminal = -1;              // the user's terminal, when the program gets it
};

class ExecSession {
 public:
  explicit ExecSession(ExecSessionConfig config);

  Outcome run();

 private:
  enum class Phase { kGreeting, kStarting, kRunning, kDraining };

  void on_guest(std::span<const pollfd> polls);
  void on_message(const guest::Message& message);
  void connect_streams();
  void add_channel(bool output, std::string name, UniqueFd source, UniqueFd sink);
  void on_signal();
  void send(const guest::Message& message);
  void advance();
  void conclude(Outcome outcome) {
    if (!outcome_) outcome_ = std::move(outcome);
  }
  void fail_with(std::string message) { conclude({.exit_code = guest::kExitError, .message = std::move(message)}); }

  ExecSessionConfig config_;
  ExecConnection guest_;
  RawTerminal raw_terminal_;
  Phase phase_ = Phase::kGreeting;
  uint32_t stream_port_ = 0;
  std::vector<std::pair<bool, Channel>> channels_;  // whether it is output
  std::optional<Outcome> program_outcome_;
  std::optional<Outcome> outcome_;
};

}  // namespace adyton::cli
