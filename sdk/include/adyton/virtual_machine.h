// A virtual machine of this user: one that this program made, or one that it found by its name.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "adyton/virtual_machine_config.h"
#include "adyton/virtual_machine_statistics.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton {

namespace rpc {
class Binder;
}

class VirtualMachine;

// Why a VM stopped. The numbers are AVF's (android.system.virtualmachine.VirtualMachineCallback).
enum class StopReason : int32_t {
  kVirtualizationServiceDied = -1,
  kInfrastructureError = 0,  // the service could not do its part
  kKilled = 1,               // stop(), kill(), or a signal to its process
  kUnknown = 2,
  kShutdown = 3,     // the guest powered off
  kStartFailed = 4,  // its configuration, kernel or memory was refused
  kReboot = 5,       // the guest asked for a reset, which ends it
  kCrash = 6,        // the guest crashed, or its VMM did
  kPvmFirmwarePublicKeyMismatch = 7,
  kPvmFirmwareInstanceImageChanged = 8,
  kMicrodroidFailedToConnectToVirtualizationService = 11,  // the guest's init never spoke to the service, or stopped to
  kMicrodroidPayloadHasChanged = 12,
  kMicrodroidPayloadVerificationFailed = 13,
  kMicrodroidInvalidPayloadConfig = 14,  // the payload could not be executed
  kMicrodroidUnknownRuntimeError = 15,   // the guest's init failed
  kHangup = 16,                          // the payload did not start in time
  kWatchdogReboot = 17,                  // the guest made no progress
};
[[nodiscard]] std::string_view to_string(StopReason reason);  // "shutdown", "start failed"

// What a guest reports before it gives up.
enum class VmErrorCode : int32_t {
  kUnknown = 0,
  kPayloadVerificationFailed = 1,
  kPayloadChanged = 2,
  kPayloadInvalidConfig = 3,
};

// What happens to a VM, in order; onStopped() comes exactly once for each successful run(), and is the last.
class VirtualMachineCallback {
 public:
  virtual ~VirtualMachineCallback() = default;
  virtual void onPayloadStarted(VirtualMachine&) {}  // its entry is about to run; of a custom VM: its CPUs are
  virtual void onPayloadReady(VirtualMachine&) {}    // it has called AVmPayload_notifyPayloadReady()
  virtual void onPayloadFinished(VirtualMachine&, int /*exit_code*/) {}  // 128 + N if signal N ended it
  virtual void onError(VirtualMachine&, VmErrorCode, const std::string& /*message*/) {}
  virtual void onStopped(VirtualMachine&, StopReason, const std::string& /*message*/) {}  // one sentence for a person
};

// Runs a callback, now or later, on any thread, in order.
using Executor = std::function<void(std::function<void()>)>;

// AVF's states, as far as they are of the VM and not of its payload.
enum class VmStatus : int32_t { kStopped = 0, kRunning = 1, kDeleted = 2 };

enum class VmState : int32_t { kNotStarted = 0, kStarting = 1, kStarted = 2, kReady = 3, kFinished = 4, kDead = 6 };
[[nodiscard]] std::string_view to_string(VmState state);  // "starting"

// A VM at one moment. Counters of a stopped VM are those of its end.
enum class CrashKind : int32_t {
  kKernelPanic = 0,
  kPayload = 1,  // a fault has killed it
  kMachine = 2,  // a guest or an engine could not go on
  kHang = 3,     // nothing was heard of the guest for too long
};

// What was kept of a VM that crashed: one readable file of printable ASCII (VirtualMachineManager::openCrashReport()).
struct CrashReport {
  std::string vm;
  CrashKind kind = CrashKind::kMachine;
  std::string cause;  // one sentence for a person
  std::chrono::system_clock::time_point time;
  std::string path;  // where the service keeps it, as the service sees the file system
};

struct VirtualMachineInfo {
  int32_t cid = 0;
  std::string name;
  VmState state = VmState::kNotStarted;
  IsolationLevel isolation = IsolationLevel::kNone;  // in force
  std::string backend;                               // what runs the guest: "soft", "kvm"
  bool suspended = false;
  bool detached = false;
  bool persistent = false;
  bool custom = false;
  uint32_t cpu_count = 0;
  uint64_t memory_bytes = 0;
  int32_t pid = -1;  // of the VM's process; -1: there is none
  int32_t requester_uid = 0;
  int32_t requester_pid = 0;
  std::chrono::milliseconds uptime{};    // since it was started; of a dead VM: how long it lived
  std::chrono::milliseconds cpu_time{};  // that its process has spent on CPUs
  uint64_t resident_bytes = 0;
  uint64_t peak_resident_bytes = 0;
  std::optional<int> payload_exit_code;
  StopReason stop_reason = StopReason::kUnknown;  // of a dead one
  std::string stop_message;
  std::string vsock_socket;                 // the Unix socket of its vsock ports; empty: it has none
  std::optional<CrashReport> crash_report;  // of this run
};

struct StopInfo {
  StopReason reason = StopReason::kUnknown;
  std::string message;  // one sentence for a person
};

// How the last run of a persistent VM ended, whoever had started it.
struct LastRun {
  StopInfo stop;
  std::optional<int> payload_exit_code;
  bool custom = false;  // it ran no payload
  UniqueFd log;         // what the payload wrote, as far as nobody listened for it, the last 1 MiB: a file, for reading
  std::optional<CrashReport> crash_report;  // that it has left
};

enum class TrimLevel : int32_t { kRunningCritical = 0, kRunningLow = 1, kRunningModerate = 2 };

// How a vsock connection carries data: bytes (a SOCK_STREAM socket), or messages of up to 256 KiB that arrive whole
// (SOCK_SEQPACKET).
enum class VsockType : int32_t { kStream = 0, kSeqpacket = 1 };

// Where a payload's streams come out if listenVsock() has been called for them.
inline constexpr uint32_t kPayloadStdinPort = 1025;
inline constexpr uint32_t kPayloadStdoutPort = 1026;
inline constexpr uint32_t kPayloadStderrPort = 1027;
inline constexpr uint32_t kPayloadTerminalPort = 1028;

// Made by a VirtualMachineManager. When the last reference goes, close() is called; the library holds one while an event is on
// its way. Threading: any thread; calls that wait (run(), stop(), waitForStop()) do not keep others waiting. Errors: kUnavailable
// for what needs a running VM, or when the service is gone; kInvalidArgument; others as said.
class VirtualMachine : public std::enable_shared_from_this<VirtualMachine> {
 public:
  static constexpr uint32_t kMinVsockPort = 1024;
  static constexpr uint32_t kMaxVsockPort = 0xffff'ffff;

  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  [[nodiscard]] const std::string& getName() const;
  // The record's of a persistent VM that is stopped. kUnsupported for one that was found by its name and has no record.
  [[nodiscard]] Result<VirtualMachineConfig> getConfig();
  // Replaces the configuration of a VM that is not running and returns the old one. kInvalidArgument unless they are compatible.
  Result<VirtualMachineConfig> setConfig(const VirtualMachineConfig& config);
  [[nodiscard]] Result<VmStatus> getStatus();
  // kNotFound before the first run().
  [[nodiscard]] Result<VirtualMachineInfo> getInfo();
  // kUnavailable unless it runs.
  [[nodiscard]] Result<VirtualMachineStatistics> getStatistics();

  // Events are told to one callback; a later call replaces it. Without an executor they run on one thread of the library, in
  // which any method may be called. Events that come before the call are lost.
  void setCallback(std::shared_ptr<VirtualMachineCallback> callback, Executor executor = {});
  void clearCallback();

  struct RunOptions {
    bool detached =
        false;  // the VM outlives this object and program: it ends with the guest, by stop() or kill(), or with the service
    // Says what a long preparation is doing ("downloading the guest's kernel"); called on this thread.
    std::function<void(std::string_view step)> progress;
    // Copies of what the guest's console says go there from its first byte on, and what is read from the other is typed on it.
    UniqueFd console_output;
    UniqueFd console_input;
    UniqueFd log;  // what the payload writes, as far as nobody listens for it
    // Where the service makes the Unix socket of the VM's vsock ports (docs/vsock.md): an absolute path; empty: in its own
    // folder.
    std::string vsock_socket;
    // A listening stream socket where debuggers may connect (attachDebugger()). `wait_for_debugger`: the guest starts when one
    // says so.
    UniqueFd debugger;
    bool wait_for_debugger = false;
    // Called on this thread when the VM is loaded and has not run its first instruction, which it does when that returns: for
    // captureVsock(), trace(), traceCalls(), getTraceSources() and getInfo(), and no other of this object's methods. If it fails,
    // run() does.
    std::function<Result<void>(VirtualMachine&)> before_start;
  };
  // Prepares the images, opens the files, and starts the VM. Returns when its CPUs may run: what follows is told to the callback.
  // A VM that has stopped may be run again. kUnavailable if it runs; what prevents it otherwise is said in a sentence.
  Result<void> run();
  Result<void> run(RunOptions options);

  // Ends the VM in order: the guest is asked to shut down, or its payload ended (SIGTERM), and after five seconds the plug is
  // pulled. Returns when the VM is gone. kUnavailable if it does not run.
  Result<void> stop();
  // The same, but the payload has `patience` to end before the guest kills it; the plug is pulled two seconds later if that does not
  // help. 0 (or less): the plug is pulled at once. At most 24 days. Of several who wait for the VM's end the least patient is heard.
  Result<void> stop(std::chrono::milliseconds patience);
  // Pulls the plug. Returns when the VM is gone.
  Result<void> kill();
  // stop() without errors, unless the VM is detached; does not wait longer than for the plug to be pulled.
  void close();

  // Waits until the VM has stopped, or for `timeout`: none then. At once if it does not run.
  std::optional<StopInfo> waitForStop(std::optional<std::chrono::milliseconds> timeout = {});

  // Waits until the payload has called AVmPayload_notifyPayloadReady(). kUnavailable, with what ended it, when its end came first
  // or the VM does not run, or when `timeout` has passed.
  Result<void> waitForReady(std::optional<std::chrono::milliseconds> timeout = {});

  // Halts the guest's CPUs, and lets them run on; of a VM that is in that state already they do nothing. The guest's clocks stand
  // still meanwhile; resume() sets the wall clock of one that runs a payload anew (unless it was told to keep its own). Its
  // state stays what it was, streams and connections stay open. stop() resumes it first.
  Result<void> suspend();
  Result<void> resume();

  // 128 + N after signal N; 125, 126 or 127 when it could not be executed, as a shell has it (126: no program for the guest, 127:
  // not found), also if run() failed for that; none: it has not ended.
  [[nodiscard]] std::optional<int> getPayloadExitCode();

  // Kept with the VM's record until it runs again. None: it has never run, runs now, was running when the service was killed, or
  // has no record.
  Result<std::optional<LastRun>> getLastRun();

  // A connection to a port that the guest listens on.
  Result<UniqueFd> connectVsock(uint32_t port, VsockType type = VsockType::kStream);
  // The root object of an RpcBinder server that the guest runs on that port, for IFoo::from_binder(). Its session lives as long
  // as an object that came through it.
  Result<std::shared_ptr<rpc::Binder>> connectToVsockServer(uint32_t port);
  // Copies the VM's vsock packets into `ring`, a ring's memory (observe/record_ring.h of Adyton's sources; packets as in
  // observe/vsock_record.h). Returns the reader's end of its wake socket: at its end the VM is gone, closing it ends the capture.
  // A slow reader loses packets, which are counted, and never slows down the guest. At most 16 captures of a VM at a time. It
  // shows what the host sees of the guest's traffic in any case, at every isolation level.
  struct CaptureFilter {
    std::vector<uint32_t> ports;      // packets from or to one of these, at most 64; none: all
    uint32_t maxPayload = INT32_MAX;  // bytes of each packet's payload to keep
  };
  Result<UniqueFd> captureVsock(const UniqueFd& ring, const CaptureFilter& filter);
  // Leaves records of what the VM does in `rings`, memory with `count` rings (observe/record_ring.h of Adyton's sources): one for
  // each vCPU, each device of getTraceSources(), and the interrupt controller. Records and `categories` are those of
  // observe/trace_record.h. Returns a socket: at its end the VM is gone, closing it ends the trace. A slow reader loses records,
  // which are counted, and never slows down the guest. One trace of a VM at a time. Of an isolated VM only what it says to
  // devices of the host.
  Result<UniqueFd> trace(const UniqueFd& rings, uint32_t count, uint32_t categories);
  // What a trace has rings for, beside the one of the interrupt controller. Captures, traces and this wait for a VM that is being
  // started, so that they can begin with its first instruction.
  struct TraceSources {
    uint32_t vcpus = 0;
    std::vector<std::string> devices;  // by slot
  };
  Result<TraceSources> getTraceSources();
  // The same for the calls that the service serves about this VM, in one ring.
  Result<UniqueFd> traceCalls(const UniqueFd& ring);
  // The parts of its start that are over, one after the other: "spawn" (a process for it), "load" (the kernel, the initial RAM
  // disk), "kernel", "init"; "payload main" is where they lead. Of this run, or the last one.
  struct BootPhase {
    std::string name;
    std::chrono::nanoseconds begin{0};  // of std::chrono::steady_clock
    std::chrono::nanoseconds end{0};
  };
  Result<std::vector<BootPhase>> getBootPhases();
  // Each connection that the guest makes to `port` of the host is given to `accept`, on a thread of the library. For this
  // run and later ones; at most 56 ports. Whoever listens for the payload's streams (kPayloadStdoutPort ...) does so before
  // run(), reads them to their ends after onPayloadFinished() and then calls stop(); without that the service takes them into the
  // log, and the VM ends by itself. kUnavailable for a port that another program, or the service, listens on.
  Result<void> listenVsock(uint32_t port, std::function<void(UniqueFd stream)> accept, VsockType type = VsockType::kStream);

  // The console: a connected socket that carries what the guest writes, after the up to 1 MiB it has written last; what is
  // written to it is typed on the console. At its end the VM is gone. A slow reader loses output. kPermission unless the
  // configuration has captured output, and console input for the second.
  Result<UniqueFd> getConsoleOutput();
  Result<UniqueFd> getConsoleInput();
  // What the payload wrote, as far as nobody listened for it.
  Result<UniqueFd> getLogOutput();

  // Lets debuggers connect to `listener`, a listening stream socket, and speak GDB's remote serial protocol there. It takes the
  // place of an earlier one, unless a debugger is connected (kUnavailable). kPermission: an isolated VM, or debug level kNone.
  // Whoever can connect owns the guest.
  Result<void> attachDebugger(UniqueFd listener);

  // The memory and registers as an ELF core, in pieces, from a socket: offset and length (64 bits each, little-endian), that many
  // bytes; a piece of length 0 ends it, and its offset is the file's size. What lies between pieces is zero; a stream that ends
  // without that end is a dump that failed. The VM stands still until all of it has been read, the socket is closed, or nothing
  // has been read for ten seconds. kPermission as above.
  Result<UniqueFd> dump();

  // Sends a Linux signal (1 to 64) to the payload's process group.
  Result<void> signalPayload(int signal);
  Result<void> setTerminalSize(TerminalSize size);

  // kUnsupported where the guest has no agent.
  Result<void> trimMemory(TrimLevel level);
  // The balloon's size in bytes: what the guest has given back to the host because it was asked to. Another size is made later,
  // as far as the guest can. kUnavailable unless it runs.
  Result<uint64_t> getMemoryBalloon();
  Result<void> setMemoryBalloon(uint64_t bytes);

  // Opens the files that make up a persistent VM's identity, to give to another program. kUnavailable while it runs.
  struct Descriptor {
    UniqueFd config;
    UniqueFd instance_id;
    UniqueFd instance_image;     // may be invalid: there is none
    UniqueFd encrypted_storage;  // may be invalid

    // Through a connected Unix socket (stream or seqpacket) to another program of the same user, whose manager makes a VM of it
    // (importFromDescriptor()). Blocks as the socket does. It stays the caller's.
    Result<void> sendTo(int socket) const;
    // The other end. kUnavailable when the sender has gone, kCorrupt for anything else than a descriptor.
    static Result<Descriptor> receiveFrom(int socket);
  };
  Result<Descriptor> toDescriptor();

  class Impl;  // private to the library
  explicit VirtualMachine(std::unique_ptr<Impl> impl);
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace adyton
