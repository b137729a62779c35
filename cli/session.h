// One `adyton run`, from a configured VM to an exit code: an event loop between the VM, the user's
// streams, terminal and signals.
//
//   booting -> running -> draining -> closing      (payload)
//   booting -> running                             (a VM of the user's own)
//
// Everything reaches it as a descriptor or through the VmHandle, so that a test can play the VM, the guest and the user.
// Threading: one thread.
#pragma once
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/channel.h"
#include "cli/console_log.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/vm_handle.h"
#include "guest/exec_protocol.h"

struct signalfd_siginfo;

namespace adyton::cli {

// How a run ended. `message`, when there is one, is for the user ("adyton: ...").
struct Outcome {
  int exit_code = 0;
  std::string message;
  bool vm_lost = false;  // the VM's process ended without a word
};

struct SessionConfig {
  bool payload = true;              // false: a VM of the user's own, whose serial console is the user's terminal
  bool payload_terminal = false;    // the payload has a terminal
  UniqueFd console;                 // our end of the serial console
  std::array<UniqueFd, 3> stdio;    // from open_endpoint()
  int signals = -1;                 // a signalfd, or what behaves like one
  int terminal = -1;                // the user's terminal, when the guest gets it
  bool wait_for_power_off = false;  // the guest has something to write back
  int messages = 2;                 // where a timeline is written
  std::optional<std::chrono::milliseconds> timeout;
};

class Session {
 public:
  // All three outlive the session.
  Session(SessionConfig config, VmHandle& vm, ConsoleLog& log, Progress& progress);

  Outcome run();

 private:
  enum class Phase { kBooting, kRunning, kDraining, kClosing };
  using Clock = std::chrono::steady_clock;

  void on_event(VmEvent event);
  void on_stream(uint32_t port, UniqueFd stream);
  void on_console(std::span<const pollfd> polls);
  void on_signal(const signalfd_siginfo& signal);
  void read_signals();

  void start_raw_console();
  void start_terminal();
  void add_channel(uint32_t port, std::string name, UniqueFd source, UniqueFd sink);
  void payload_ended(Outcome outcome);
  void check(const Result<void>& sent);
  void interrupt(int signal);
  void note_key(std::span<const uint8_t> keys);
  void note_output(std::span<const uint8_t> bytes);

  void advance();
  [[nodiscard]] bool output_finished() const;
  [[nodiscard]] Outcome explain_end() const;
  void conclude(Outcome outcome) {
    if (!outcome_) outcome_ = std::move(outcome);
  }
  void fail_with(std::string message) { conclude({.exit_code = guest::kExitError, .message = std::move(message)}); }
  [[nodiscard]] int poll_timeout() const;

  SessionConfig config_;
  VmHandle& vm_;
  ConsoleLog& log_;
  Progress& progress_;
  RawTerminal raw_terminal_;

  Phase phase_ = Phase::kBooting;
  std::map<uint32_t, bool> expected_;  // stream ports, and whether the guest has connected them
  std::vector<std::pair<uint32_t, Channel>> channels_;
  std::optional<Outcome> payload_outcome_;  // what the guest said
  std::optional<Outcome> outcome_;          // final
  std::optional<VmEnds> ended_;
  bool vm_gone_ = false;
  bool guest_left_ = false;
  unsigned interrupts_ = 0;
  bool after_escape_ = false;                  // Ctrl-A was typed
  std::optional<Clock::time_point> deadline_;  // of --timeout
  std::optional<Clock::time_point> patience_;  // for a VM that is about to end
};

}  // namespace adyton::cli
