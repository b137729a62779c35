// One payload's life, seen from the guest: request in, streams relayed, signals passed on, exit code out.
#pragma once
#include <sys/types.h>

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/exec_protocol.h"
#include "guest/init/payload.h"
#include "guest/init/relay.h"

namespace adyton::guest {

// What the session needs from its surroundings; a test gives it socket pairs.
struct SessionHooks {
  std::function<Result<UniqueFd>(uint32_t port)> connect;               // a stream to the host, non-blocking
  std::function<Result<void>(ExecRequest& request)> prepare;            // root, mounts, hostname, clock; may change what is executed
  std::function<void(pid_t payload)> kill_everything;                   // SIGKILL to the payload and whatever it started
  std::function<UniqueFd()> start_agent;                                // the pipe of guest/init/agent.h; may be empty: there is none
  std::function<void(uint64_t wall_clock_ns)> set_clock;                // may be empty: this session has no say in that
  // For a payload between SIGTERM and SIGKILL when the agent says that the guest shall end: less than the host waits for all of it (5 s).
  uint64_t grace_ns = 3'000'000'000;
};

class Session {
 public:
  Session(UniqueFd control, SessionHooks hooks);

  // Says Hello, serves one ExecRequest to its end, and returns when the host has taken everything and closed the control
  // connection. SIGCHLD must be blocked in the caller.
  Result<void> run(const Hello& hello);

 private:
  Result<void> send(const Message& message);
  Result<ExecRequest> receive_request();
  Result<void> start(ExecRequest& request);
  Result<void> connect_streams();
  Result<void> serve();
  Result<void> handle(const Message& message);
  Result<bool> read_control();  // false at end of file
  void forward_signal(int number);
  [[nodiscard]] pid_t payload_group() const;
  void read_agent();
  void end_payload(uint64_t grace_ns);
  [[nodiscard]] int patience_ms() const;
  void reap();
  void wait_for_host();
  [[nodiscard]] bool finished() const;

  UniqueFd control_;
  SessionHooks hooks_;
  MessageReader reader_;
  Payload payload_;
  std::shared_ptr<UniqueFd> terminal_;
  std::vector<Relay> inputs_;   // host to payload
  std::vector<Relay> outputs_;  // payload to host
  std::optional<Exited> exited_;
  UniqueFd agent_;                   // what it says; invalid: there is none, or it has gone
  std::optional<uint64_t> deadline_ns_;  // CLOCK_MONOTONIC; when a payload that was asked to end is killed
};

}  // namespace adyton::guest
