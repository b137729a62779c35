// The command line of `adyton`, parsed and checked as far as text alone allows.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace adyton::cli {

struct MountOption {
  std::string source;  // on the host
  std::string target;  // absolute, in the guest
  bool read_only = false;
  bool operator==(const MountOption&) const = default;
};

struct DiskOption {
  std::string path;
  bool read_only = false;
  bool operator==(const DiskOption&) const = default;
};

struct RunOptions {
  unsigned cpus = 1;
  uint64_t memory = uint64_t{512} << 20;  // bytes
  std::vector<std::string> env;           // NAME=value
  std::optional<std::string> workdir;
  std::vector<MountOption> mounts;
  std::optional<std::string> rootfs;
  std::optional<std::string> kernel;
  std::optional<std::string> initrd;
  std::optional<std::string> append;
  std::optional<std::string> firmware;
  std::string kernel_suite;              // of Debian; empty: the default
  std::optional<uint32_t> boot_timeout;  // milliseconds; 0: none; not given: the default
  bool virtio_console = false;
  std::chrono::seconds watchdog{0};  // 0: none
  std::vector<DiskOption> disks;
  std::optional<std::string> console_log;
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<bool> tty;  // none: when stdin and stdout are terminals
  bool quiet = false;
  bool verbose = false;
  bool detach = false;
  bool remove = false;                        // nothing of the VM stays when it ends
  bool timeline = false;                      // say how its start went
  std::optional<std::string> capture;         // a file for its vsock packets
  std::optional<std::string> trace;           // and one for what it does,
  std::vector<std::string> trace_categories;  // of these; none: all
  bool no_service = false;                    // in a process of our own, which nobody else sees
  std::optional<std::string> gdb;             // where a debugger may connect
  bool gdb_wait = false;                      // the guest starts when one says so
  std::optional<std::string> name;
  std::optional<std::string> vsock_uds;  // absolute path of the Unix socket of its vsock ports
  std::vector<std::string> command;      // the payload and its arguments

  // A VM of the user's own instead of a payload in ours.
  [[nodiscard]] bool raw() const { return kernel || firmware; }
};

struct DoctorOptions {
  bool json = false;
};

// Fetches and builds what the first `run` would.
struct PrepareOptions {
  bool quiet = false;
  std::string kernel_suite;  // empty: the default
};

// Empties the cache, or shows what that would remove.
struct PruneOptions {
  bool force = false;
  std::chrono::hours unused{0};  // only what nobody has used for so long
};

// Makes a VM that stays, without starting it.
struct CreateOptions {
  RunOptions run;  // name is given
};

// start, stop, kill, delete, wait, suspend, resume: what is done to VMs, one after the other.
enum class VmVerb : uint8_t { kStart, kStop, kKill, kDelete, kWait, kSuspend, kResume };
struct VerbOptions {
  VmVerb verb = VmVerb::kStart;
  std::vector<std::string> names;
  std::optional<int> signal;  // kill: to the payload, instead of pulling the plug
  bool force = false;         // delete: also if it runs
  bool attach = false;        // start: stay with it, as `run` does
  std::optional<std::chrono::milliseconds> patience;  // stop: how long the payload has to end; 0: pull the plug
};

struct ListOptions {
  bool json = false;
  bool running = false;  // not those that only have a record
  bool names = false;    // and nothing else: for completion
};

struct InfoOptions {
  std::optional<std::string> name;  // none: the machine and the service
  bool json = false;
};

struct ExecOptions {
  std::string name;
  std::vector<std::string> env;
  std::optional<std::string> workdir;
  std::optional<bool> tty;
  std::vector<std::string> command;
};

// "NAME:/path" or a path of the host.
struct CopyEnd {
  std::optional<std::string> vm;
  std::string path;
  bool operator==(const CopyEnd&) const = default;
};
struct CopyOptions {
  CopyEnd from;
  CopyEnd to;
  bool follow_link = false;  // of `from` itself
};

struct ConsoleOptions {
  std::string name;
};

struct LogsOptions {
  std::string name;
  bool follow = false;
  std::optional<size_t> tail;  // so many lines of what there is; none: all
};

struct DebugOptions {
  std::string name;
  std::string address;  // unix:PATH, :PORT or HOST:PORT
};

// Shows a balloon's size; or asks for another one.
struct BalloonOptions {
  std::string name;
  std::optional<uint64_t> bytes;
};

struct CrashReportOptions {
  std::optional<std::string> name;
  bool list = false;
};

struct DumpOptions {
  std::string name;
  std::optional<std::string> output;  // none: NAME.core
};

enum class TopView : uint8_t { kVms, kExits, kCode, kMemory, kDevices, kVsock, kRpc };
// In the order in which they are shown. Their numbers from 1 are the keys that show them.
inline constexpr std::array<std::pair<std::string_view, TopView>, 7> kTopViews = {{{"vms", TopView::kVms},
                                                                                   {"exits", TopView::kExits},
                                                                                   {"code", TopView::kCode},
                                                                                   {"memory", TopView::kMemory},
                                                                                   {"devices", TopView::kDevices},
                                                                                   {"vsock", TopView::kVsock},
                                                                                   {"rpc", TopView::kRpc}}};

struct TopOptions {
  std::optional<std::string> name;  // none: all virtual machines
  std::optional<TopView> view;      // none: kVms, or everything about the one that is named
  std::chrono::milliseconds interval{1000};
  bool once = false;
  bool json = false;
};

// Packets of running VMs' vsock.
enum class CaptureFormat : uint8_t { kText, kPcapng, kPcap };
struct CaptureOptions {
  std::vector<std::string> names;
  std::optional<std::string> file;         // "-": standard output; none: lines of text there
  std::vector<uint32_t> ports = {};        // none: all
  uint32_t snaplen = 32 + 44 + 64 * 1024;  // bytes of each packet: headers and the largest payload
  CaptureFormat format = CaptureFormat::kText;
  std::optional<uint64_t> count = {};   // of packets
  uint64_t buffer = uint64_t{8} << 20;  // bytes shared with each VM
  bool verbose = false;
  bool dump = false;
  bool quiet = false;
};

// What a running VM does.
enum class TraceFormat : uint8_t { kPerfetto, kChromeJson, kText };
struct TraceOptions {
  std::string name;
  std::string file;  // "-": standard output
  TraceFormat format = TraceFormat::kPerfetto;
  std::optional<std::chrono::milliseconds> duration = {};  // none: until it is interrupted, or the VM ends
  uint32_t categories = 0;                                 // observe::TraceCategory
  bool calls = true;                                       // those that the service serves
  bool packets = false;                                    // a capture, for the calls that cross the vsock
  bool memory = true;
  bool boot = true;
  uint64_t buffer = uint64_t{1} << 20;  // bytes shared with each thread of the VM
  bool quiet = false;
};

// Runs aidlc.
struct AidlOptions {
  std::vector<std::string> arguments;
};

// Text to print and be done: --help, --version, a completion script.
struct PrintText {
  std::string text;
};

// Man pages into a folder, for the package.
struct ManualOptions {
  std::string directory;
};

using Command =
    std::variant<RunOptions, CreateOptions, VerbOptions, ListOptions, InfoOptions, ExecOptions, CopyOptions, ConsoleOptions,
                 LogsOptions, DebugOptions, BalloonOptions, CrashReportOptions, DumpOptions, TopOptions, CaptureOptions,
                 TraceOptions, AidlOptions, PrepareOptions, PruneOptions, DoctorOptions, ManualOptions, PrintText>;

// `arguments` is argv with the program's name. Fails with a sentence for the user.
Result<Command> parse_command_line(const std::vector<std::string>& arguments);

// By the file's name.
CaptureFormat capture_format(std::string_view file);
TraceFormat trace_format(std::string_view file);
// As `adyton trace -c` names them; none: all but "calls", which has to be asked for.
inline constexpr std::array<const char*, 10> kTraceCategories = {"vcpu", "translation", "interrupt", "virtio", "vsock",
                                                                 "rpc",  "memory",      "boot",      "all",    "calls"};
void choose_trace_categories(TraceOptions& options, const std::vector<std::string>& names);

// "SRC:DST[:ro]" and "FILE[,ro]".
Result<MountOption> parse_mount(const std::string& text);
Result<DiskOption> parse_disk(const std::string& text);

// A number (1 to 64) or a name, with or without SIG.
Result<int> parse_signal(const std::string& text);

// "NAME:/path" is in a VM, anything else on the host ("./NAME:x" too).
CopyEnd parse_copy_end(const std::string& text);

}  // namespace adyton::cli
