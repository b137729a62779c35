// The language between adyton-vmm and whoever started it (the CLI, the service): one message per SOCK_SEQPACKET packet, JSON
// text, with file descriptors beside it (SCM_RIGHTS). The VMM opens no path: a message names a descriptor by its index in the
// packet.
//
//   client -> VMM   requests: configure, start, connect, answer, listen, suspend, resume, stop, describe, capture, trace,
//   statistics, attach-debugger, balloon, dump, crash-reports, inspect. Each carries an id and gets exactly one reply with that
//   id. VMM -> client   replies, and events: accepted (+ 1 descriptor), asked, ended. `ended` is the last message.
//
// This file is the pure codec: no sockets, no descriptors, bounded in size, total on any input (fuzzed).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "vmm/control/statistics.h"

namespace adyton::vmm::control {

inline constexpr int kControlFd = 3;                  // where a started adyton-vmm finds its end of the socket
inline constexpr size_t kMaxMessageSize = 64 * 1024;  // bytes of JSON text
inline constexpr size_t kMaxFds = 64;                 // descriptors beside one message
inline constexpr unsigned kMaxCpus = 123;             // what fits between the board's redistributors and its PL011
inline constexpr uint64_t kMaxMemory = uint64_t{1} << 40;
inline constexpr size_t kMaxListenPorts = 64;
inline constexpr size_t kMaxCapturePorts = 64;
inline constexpr size_t kMaxTraceRings = 1024;
inline constexpr uint32_t kMaxWatchdogSeconds = 24 * 3600;
inline constexpr size_t kMaxDisks = 16;
inline constexpr size_t kMaxDiskSerial = 20;     // bytes; virtio 1.2, 5.2.6: VIRTIO_BLK_T_GET_ID
inline constexpr size_t kMaxCommandLine = 2048;  // bytes; the arm64 kernel's COMMAND_LINE_SIZE
inline constexpr size_t kInstanceIdSize = 64;    // bytes

// Of a vsock connection: a SOCK_STREAM or a SOCK_SEQPACKET socket.
enum class VsockType : uint8_t { kStream, kSeqpacket };

struct Disk {
  size_t fd = 0;  // index into the packet's descriptors, as everywhere below
  bool read_only = true;
  std::string serial;
  bool operator==(const Disk&) const = default;
};

struct Configure {
  uint32_t cpus = 1;
  uint64_t memory = 0;  // bytes
  std::string command_line;
  std::optional<size_t> kernel;    // an arm64 Image, perhaps compressed; or
  std::optional<size_t> firmware;  // what stands in flash at address 0
  std::optional<size_t> initrd;
  std::vector<Disk> disks;    // in the order of their addresses
  size_t console_output = 0;  // bytes of the PL011 go here
  std::optional<size_t> console_input;
  bool virtio_console = false;         // a virtio console shares the output, and has the input instead of the PL011
  std::vector<uint32_t> listen_ports;  // vsock ports of the host that the guest may connect to, by stream
  std::vector<uint32_t> listen_seqpacket_ports;
  bool ask_about_ports = false;   // `asked` comes for every other one; otherwise such a connection is refused
  uint32_t watchdog_seconds = 0;  // the guest has a watchdog that waits so long, at most kMaxWatchdogSeconds; 0: it has none
  std::string instance_id;        // of kInstanceIdSize bytes, which the guest is told; empty: it has none
  bool operator==(const Configure&) const = default;
};
struct Start {
  bool operator==(const Start&) const = default;
};
// Opens a vsock connection to `port` of the guest; the reply carries its descriptor. Or `socket`, a connected Unix stream socket,
// becomes the host's end: it gets "OK <port of the host>\n" when the guest accepts, and is closed when it does not
// (docs/vsock.md).
struct Connect {
  uint32_t port = 0;
  VsockType type = VsockType::kStream;
  std::optional<size_t> socket;
  bool operator==(const Connect&) const = default;
};
// To an `asked`. `socket`, a connected Unix socket of that type, becomes the host's end; without it the guest is refused. An
// answer that comes too late is none, and no error.
struct Answer {
  uint32_t question = 0;
  std::optional<size_t> socket;
  bool operator==(const Answer&) const = default;
};
// Copies the guest's vsock packets into a ring (observe/record_ring.h) that the client has made; the reply carries the reader's
// end of its wake socket, and the capture ends when that is closed. Several at once. From `configure` on, as Trace.
struct Capture {
  size_t ring = 0;                    // a descriptor
  std::vector<uint32_t> ports;        // packets from or to one of these; none: all
  uint32_t max_payload = UINT32_MAX;  // bytes of each packet's payload to keep
  bool operator==(const Capture&) const = default;
};
// Debuggers may connect to a listening stream socket and speak GDB's remote serial protocol there. From `configure` on; it takes
// the place of the socket before.
struct AttachDebugger {
  size_t listener = 0;
  bool hold = false;  // before `start`: no guest code runs until a debugger says so
  bool operator==(const AttachDebugger&) const = default;
};
// The guest may connect to one more vsock port of the host; of a configured VM, at most kMaxListenPorts in all.
struct Listen {
  uint32_t port = 0;
  VsockType type = VsockType::kStream;
  bool operator==(const Listen&) const = default;
};
// Halts the guest's CPUs and its virtual counter, and lets them run on. Of a VM that is in that state already they do nothing.
struct Suspend {
  bool operator==(const Suspend&) const = default;
};
struct Resume {
  bool operator==(const Resume&) const = default;
};
// Leaves a trace of what the VM's threads do in rings that the client has made, one for each vCPU, each device in the order of
// their addresses, and one for the interrupt controller (observe/trace_record.h); the reply carries a socket, and the trace ends
// when that is closed. One at a time.
struct Trace {
  size_t rings = 0;  // a descriptor
  uint32_t ring_count = 0;
  uint32_t categories = 0;  // observe::TraceCategory
  bool operator==(const Trace&) const = default;
};
// Asks the guest for memory: its balloon is to have `bytes`, rounded down to pages and to what the guest has. Once it is
// configured.
struct SetBalloon {
  uint64_t bytes = 0;
  bool operator==(const SetBalloon&) const = default;
};
// The VM stands still while its memory and registers leave as an ELF core; the reply carries the socket from which it comes
// (observe/dump_stream.h).
struct Dump {
  bool operator==(const Dump&) const = default;
};
// Between `configure` and `start`: where the VM leaves what a crash report says of its guest, when it ends otherwise than by
// powering off or by `stop`, and for `inspect`. A memfd that is sealed against shrinking; text up to a zero byte.
struct CrashReports {
  size_t memory = 0;
  bool operator==(const CrashReports&) const = default;
};
// Writes that now, of a VM that runs; the reply comes when it is there.
struct Inspect {
  bool operator==(const Inspect&) const = default;
};
// Ends the VM at once, as pulling the plug does.
struct Stop {
  bool operator==(const Stop&) const = default;
};

// What this VMM can do here; the answer is a Description. At any time.
struct Describe {
  bool operator==(const Describe&) const = default;
};

// What it has done so far; the answer is a Statistics. Once it is configured.
struct ReadStatistics {
  bool operator==(const ReadStatistics&) const = default;
};

struct Request {
  uint32_t id = 0;
  std::variant<Configure, Start, Connect, Listen, Suspend, Resume, Stop, Describe, Answer, Capture, Trace, ReadStatistics,
               AttachDebugger, SetBalloon, Dump, CrashReports, Inspect>
      body;
  bool operator==(const Request&) const = default;
};

struct Reply {
  uint32_t id = 0;
  std::optional<Error> error;  // none: it was done
};
// The guest connected to a listened port; the packet's only descriptor is the stream.
struct Accepted {
  uint32_t port = 0;
  VsockType type = VsockType::kStream;
};
// The guest wants a connection to a port that nobody listens on; it waits for an `answer`, two seconds at most.
struct Asked {
  uint32_t question = 0;
  uint32_t port = 0;
  VsockType type = VsockType::kStream;
};
enum class EndReason : uint8_t {
  kShutdown,       // the guest powered off
  kReset,          // the guest asked for a reset
  kStopped,        // on request
  kCrashed,        // the guest did what no CPU or board can carry on from
  kInternalError,  // a fault of ours
  kForbiddenCall,  // the VM's process made a system call that its sandbox forbids; the message names it
  kWatchdog,       // nobody has refreshed the guest's watchdog in time
};
struct Ended {
  EndReason reason = EndReason::kShutdown;
  std::string message;
};
// One measure of the sandbox that the VM's process is in.
struct SandboxMeasure {
  std::string name;  // "user namespace"
  bool in_force = false;
  std::string detail;  // why not; may be empty
  bool operator==(const SandboxMeasure&) const = default;
};

struct Description {
  uint32_t id = 0;                         // the request's
  std::string backend;                     // "soft"
  std::string isolation;                   // "none"
  std::vector<std::string> host_features;  // of the processor, that the backend makes use of
  std::string problem;                     // why it cannot run guests here; empty: it can
  std::vector<SandboxMeasure> sandbox;
  bool operator==(const Description&) const = default;
};
using Event = std::variant<Reply, Accepted, Ended, Description, Asked, Statistics>;

[[nodiscard]] std::string_view to_string(EndReason reason);

// Encoding fails with kInvalidArgument when a string is not UTF-8 or the message would be too big.
Result<std::string> encode(const Request& request);
Result<std::string> encode(const Event& event);

// `fd_count` is how many descriptors came with the packet: every index is below it. kCorrupt on anything that is not a
// well-formed message.
Result<Request> decode_request(std::string_view text, size_t fd_count);
Result<Event> decode_event(std::string_view text, size_t fd_count);

}  // namespace adyton::vmm::control
