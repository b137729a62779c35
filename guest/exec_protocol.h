// What the host and the guest's init say to each other over vsock, and how it is laid out in bytes.
//
// The guest connects, always. Right after its modules are loaded, init connects to kHostCid:kControlPort and sends Hello. The host
// answers with one ExecRequest. Init prepares root and mounts, executes the payload, sends Started, and then connects the payload's
// streams (after ExecFailed it connects none):
//   without a terminal   kStdinPort, kStdoutPort, kStderrPort, in this order
//   with a terminal      kTerminalPort only (both directions)
// Streams carry raw bytes and nothing else: a half-close (shutdown(SHUT_WR)) is end of file, vsock credit is the back-pressure.
// That is the payload. Further programs in its surroundings (`adyton exec`) go the other way around: init listens on kExecPort of the
// guest, and each connection that the host makes there is one more such conversation, in which Hello names a port of the guest that the
// host connects to for the streams, after Started, in the same order. Root, mounts, hostname and clock of such a request are ignored; the
// payload's environment is added where it does not set a name itself. These programs end with the payload.
//
// The guest closes the stdin stream when the payload has stopped reading it; the host takes EPIPE there as normal.
//
//   guest -> host   Hello, then Started or ExecFailed; after Started one Exited
//   host -> guest   ExecRequest, then any number of Signal, WindowSize, Kill, SetClock, End
//
// Exited is sent after all of the payload's output has been queued and its output streams have been half-closed. The host
// drains stdout and stderr (or the terminal) to end of file, and then closes the control connection: that is what init waits for
// before it powers off, so no byte is lost. A control connection that is lost earlier ends the payload and the guest.
//
// A frame is a header of 8 bytes, {u32 body length, u16 type, u16 zero}, and a body. Integers are little-endian; a string is a
// u32 length and its bytes; a list is a u32 count and its elements; a bool is one byte, 0 or 1. A body has no spare bytes. Both
// sides are hostile to each other: decode() bounds everything and never reads beyond the frame.
// Thread rules: free functions and value types; an object belongs to one thread at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace adyton::guest {

inline constexpr uint32_t kProtocolVersion = 4;

inline constexpr uint32_t kHostCid = 2;  // VMADDR_CID_HOST
inline constexpr uint32_t kControlPort = 1024;
inline constexpr uint32_t kStdinPort = 1025;
inline constexpr uint32_t kStdoutPort = 1026;
inline constexpr uint32_t kStderrPort = 1027;
inline constexpr uint32_t kTerminalPort = 1028;
inline constexpr uint32_t kExecPort = 1029;  // of the guest

inline constexpr size_t kFrameHeaderSize = 8;
inline constexpr size_t kMaxBodySize = size_t{4} << 20;  // Linux takes at most 6 MiB of arguments and environment (bprm, _STK_LIM / 4 * 3)
inline constexpr size_t kMaxListLength = size_t{1} << 16;

// Exit statuses of `adyton run` that are not the payload's own.
inline constexpr int kExitError = 125;          // ours
inline constexpr int kExitNotExecutable = 126;  // the payload was found but cannot be executed
inline constexpr int kExitNotFound = 127;

// ---- guest -> host -------------------------------------------------------------------------------------------------------

struct Hello {
  uint32_t version = kProtocolVersion;
  uint64_t init_started_ns = 0;  // CLOCK_MONOTONIC (time since the kernel's clock began) when main() of init began
  uint64_t connected_ns = 0;     // the same clock, when the control connection stood
  std::string kernel_release;    // uname -r
  uint32_t stream_port = 0;      // on kExecPort: the guest's port that takes the streams
  bool operator==(const Hello&) const = default;
};

// The payload has been executed.
struct Started {
  uint32_t pid = 0;
  bool operator==(const Started&) const = default;
};

// The payload has ended, and all its output is on its way.
struct Exited {
  bool signalled = false;
  uint32_t value = 0;         // exit status 0..255, or signal number 1..64
  bool core_dumped = false;
  [[nodiscard]] int exit_code() const { return static_cast<int>(signalled ? 128 + value : value); }
  bool operator==(const Exited&) const = default;
};

// The payload was not executed, or its surroundings could not be prepared. The guest powers off after it, as after Exited.
struct ExecFailed {
  uint32_t error_number = 0;  // the guest's errno, or 0
  uint32_t exit_code = 0;     // kExitError, kExitNotExecutable or kExitNotFound
  std::string message;        // one sentence for the person
  bool operator==(const ExecFailed&) const = default;
};

// ---- host -> guest -------------------------------------------------------------------------------------------------------

enum class RootMode : uint8_t {
  kInitramfs = 0,  // the payload runs in the initramfs, beside init
  kDisk = 1,       // an erofs image on a virtio-blk disk, with a tmpfs over it that takes the writes
};

struct Mount {
  std::string serial;     // the virtio-blk serial of the disk, at most 20 bytes (virtio 1.2, 5.2.6.1)
  std::string target;     // absolute path in the payload's root; made when missing
  bool read_only = true;  // false: a tmpfs over it takes the writes, which end with the VM
  bool operator==(const Mount&) const = default;
};

// What `adyton cp` needs of the guest is done by init itself, in place of a program (guest/tree/copy.h); streams, messages on stderr and the
// exit code are as a program's.
enum class Operation : uint8_t {
  kExecute = 0,
  kSendTree = 1,     // argv: path, "follow" or "". The tree goes to standard output
  kReceiveTree = 2,  // argv: path, name, "contents" or "". The tree comes from standard input
};

struct ExecRequest {
  std::string program;            // path in the payload's root; a name without a slash is looked up in PATH
  std::vector<std::string> argv;  // argv[0] included
  std::vector<std::string> env;   // "NAME=value"; init adds PATH, HOME and (with a terminal) TERM where they are missing
  std::string workdir = "/";
  std::string hostname = "adyton";
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool terminal = false;  // one pty instead of three pipes
  uint16_t rows = 24;     // of the terminal
  uint16_t columns = 80;
  RootMode root = RootMode::kInitramfs;
  std::string root_serial;  // the disk of kDisk
  std::vector<Mount> mounts;
  Operation operation = Operation::kExecute;
  uint64_t wall_clock_ns = 0;  // since 1970-01-01 UTC, on the host; 0 leaves the guest's clock alone
  bool operator==(const ExecRequest&) const = default;
};

// Sends a signal to the payload's process group (with a terminal: to its foreground process group).
struct Signal {
  uint32_t number = 0;  // Linux signal number, 1..64
  bool operator==(const Signal&) const = default;
};

struct WindowSize {
  uint16_t rows = 0;
  uint16_t columns = 0;
  bool operator==(const WindowSize&) const = default;
};

// Ends the payload and everything it started, with SIGKILL. Exited follows.
struct Kill {
  bool operator==(const Kill&) const = default;
};

// The time on the host, after the guest was suspended: its own clocks stood still meanwhile.
struct SetClock {
  uint64_t wall_clock_ns = 0;  // since 1970-01-01 UTC
  bool operator==(const SetClock&) const = default;
};

// Ends the payload in order: SIGTERM, and what a terminal's loss brings; after `grace_ms` as Kill. A second one may shorten the time and
// never makes it longer.
struct End {
  uint32_t grace_ms = 0;
  bool operator==(const End&) const = default;
};

using Message = std::variant<Hello, Started, Exited, ExecFailed, ExecRequest, Signal, WindowSize, Kill, SetClock, End>;

// ---- bytes ---------------------------------------------------------------------------------------------------------------

// A whole frame. Fails with kInvalidArgument when the message exceeds the protocol's bounds (too much environment, say).
Result<std::vector<uint8_t>> encode(const Message& message);

// Cuts a byte stream into messages, however the bytes arrive.
class MessageReader {
 public:
  // Takes the next bytes of the stream.
  void append(std::span<const uint8_t> bytes);

  // The next whole message, nullopt while more bytes are needed, or kCorrupt: the peer does not follow the protocol, and the
  // connection is of no more use (every later call fails as well). Never holds more than one frame beyond what was appended.
  Result<std::optional<Message>> next();

  // How many bytes are held that do not make a message yet. Non-zero at end of file: the peer stopped in mid-frame.
  [[nodiscard]] size_t pending() const { return buffer_.size() - consumed_; }

 private:
  std::vector<uint8_t> buffer_;
  size_t consumed_ = 0;
  bool corrupt_ = false;
};

// The body of one frame. Exposed for tests and fuzzing.
Result<Message> decode_body(uint16_t type, std::span<const uint8_t> body);

}  // namespace adyton::guest
