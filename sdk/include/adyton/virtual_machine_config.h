// What a virtual machine is made of and what runs in it. A value: immutable, cheap to copy, of paths and numbers only; files are
// opened when the VM is run. Threading: any thread; a Builder belongs to one thread at a time.
//
//   auto config = VirtualMachineConfig::Builder()
//                     .setPayload("./app")
//                     .setArguments({"--serve"})
//                     .setMemoryBytes(256 << 20)
//                     .setIsolation(IsolationLevel::kNone)
//                     .build();
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace adyton {

// Who is kept from looking into a guest. A level that the machine cannot give is an error, and nothing less is ever given.
enum class IsolationLevel : int32_t {
  kNone = 0,     // the host may look into the guest
  kProcess = 1,  // the guest's memory is unreadable for other processes, debuggers and core dumps; the host's kernel is trusted
  kHypervisor = 2,  // the host's kernel cannot read it either (pKVM)
};

// Part of a VM's identity: an instance made with one level is another one than with the other.
enum class DebugLevel : int32_t {
  kNone = 0,
  kFull = 1,  // consoles and logs may be captured
};

enum class CpuTopology : int32_t {
  kOneCpu = 0,
  kMatchHost = 1,  // as many CPUs as this process may run on, when the VM is run
};

[[nodiscard]] std::string_view to_string(IsolationLevel level);  // "none", "process", "hypervisor"

// A folder of the host that the payload sees as it was when the VM was started. What the payload writes there ends with the VM.
struct HostMount {
  std::string source;  // on the host
  std::string target;  // absolute, in the guest; made when missing
  bool read_only = false;
  bool operator==(const HostMount&) const = default;
};

// A raw disk image or block device as a virtio disk. It is locked (flock(2)) while a VM has it: several may read, one may write.
struct HostDisk {
  std::string path;
  bool read_only = false;
  bool operator==(const HostDisk&) const = default;
};

struct TerminalSize {
  uint16_t rows = 24;
  uint16_t columns = 80;
  bool operator==(const TerminalSize&) const = default;
};

class VirtualMachineConfig {
 public:
  static constexpr uint32_t kMaxCpus = 123;  // what fits on the board
  static constexpr uint32_t kMaxWatchdogSeconds = 24 * 3600;
  static constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 40;  // 1 TiB
  static constexpr uint64_t kDefaultMemoryBytes = uint64_t{512} << 20;
  static constexpr uint64_t kMinPayloadMemoryBytes = uint64_t{64} << 20;  // below it the guest's kernel has no room
  static constexpr size_t kMaxDisks = 16;                                 // disks and mounts, and one for a root directory
  static constexpr size_t kMaxKernelParameters = 2048;                    // bytes

  class Builder;

  // What to_json() wrote. kCorrupt if it is not that; the checks of Builder::build() apply.
  static Result<VirtualMachineConfig> from_json(std::string_view text);
  [[nodiscard]] std::string to_json() const;

  // Whether a VM that was made with the one may be run with the other: they agree in everything that belongs to its identity
  // (isolation, debug level, captured output, console input, which payload it is). Memory, CPUs, and where files are, do not.
  [[nodiscard]] bool isCompatibleWith(const VirtualMachineConfig& other) const;

  // False: a VM with a payload. True: a system of the user's own, from setKernel() or setFirmware().
  [[nodiscard]] bool isCustom() const;

  // See the Builder's setters. Paths are absolute.
  [[nodiscard]] const std::optional<std::string>& getPayload() const;
  [[nodiscard]] const std::optional<std::string>& getRootDirectory() const;
  [[nodiscard]] const std::optional<std::string>& getProgram() const;
  [[nodiscard]] const std::vector<std::string>& getArguments() const;
  [[nodiscard]] const std::vector<std::string>& getEnvironment() const;
  [[nodiscard]] const std::string& getWorkingDirectory() const;
  [[nodiscard]] const std::vector<HostMount>& getMounts() const;
  [[nodiscard]] const std::vector<HostDisk>& getDisks() const;
  [[nodiscard]] const std::optional<TerminalSize>& getTerminal() const;
  [[nodiscard]] const std::optional<std::string>& getKernel() const;
  [[nodiscard]] const std::optional<std::string>& getInitrd() const;
  [[nodiscard]] const std::optional<std::string>& getFirmware() const;
  [[nodiscard]] const std::string& getKernelParameters() const;
  [[nodiscard]] const std::string& getKernelSuite() const;  // empty: the default
  [[nodiscard]] bool isVirtioConsole() const;
  [[nodiscard]] std::chrono::seconds getWatchdogTimeout() const;  // 0: none
  [[nodiscard]] uint64_t getMemoryBytes() const;
  [[nodiscard]] uint32_t getCpuCount() const;  // 0: CpuTopology::kMatchHost
  [[nodiscard]] IsolationLevel getIsolation() const;
  [[nodiscard]] bool isProtectedVm() const { return getIsolation() == IsolationLevel::kHypervisor; }
  [[nodiscard]] DebugLevel getDebugLevel() const;
  [[nodiscard]] bool isVmOutputCaptured() const;
  [[nodiscard]] bool isVmConsoleInputSupported() const;
  [[nodiscard]] bool isVerboseBoot() const;
  [[nodiscard]] uint32_t getBootTimeoutMillis() const;

  struct Data;  // private to the library
  [[nodiscard]] const Data& data() const { return *data_; }

 private:
  explicit VirtualMachineConfig(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

class VirtualMachineConfig::Builder {
 public:
  Builder();
  ~Builder();
  Builder(const Builder&);
  Builder& operator=(const Builder&);

  // --- What runs. One of setPayload(), setRootDirectory(), setKernel() and setFirmware() is needed.

  // An AArch64 Linux ELF program, static or dynamic (its libraries are found and go along); a shared library that defines
  // AVmPayload_main(), as payloads of AVF are; or a directory as for setRootDirectory(). A relative path counts from the current
  // directory now.
  Builder& setPayload(std::string path);
  // A directory tree as the guest's root. Runs setProgram(), or else its init (/sbin/init, /etc/init, /bin/init or /init).
  Builder& setRootDirectory(std::string path);
  // A path in the root directory; a name without a slash is looked up in the guest's PATH.
  Builder& setProgram(std::string path);
  // What follows argv[0], which is the payload or program as it was given.
  Builder& setArguments(std::vector<std::string> arguments);
  // "NAME=value"
  Builder& setEnvironment(std::vector<std::string> entries);
  Builder& addEnvironment(std::string_view name, std::string_view value);
  Builder& setWorkingDirectory(std::string path);  // absolute, in the guest; "/"
  Builder& addMount(HostMount mount);
  // One terminal (vsock port kTerminalPort) instead of three streams.
  Builder& setTerminal(TerminalSize size);

  // An arm64 Linux Image, perhaps compressed. Its console is that of the VM.
  Builder& setKernel(std::string path);
  Builder& setInitrd(std::string path);
  Builder& setKernelParameters(std::string parameters);  // "panic=-1" is put in front unless they say something of panic=
  // The suite of Debian that a payload's kernel comes from: "bookworm-backports", "trixie", "trixie-backports", "sid", or any other
  // that the machine's mirror has. Not called, or "": $ADYTON_DEBIAN_SUITE, or else "bookworm".
  Builder& setKernelSuite(std::string suite);
  // What stands in flash at address 0 (u-boot, say).
  Builder& setFirmware(std::string path);
  // The console's input is at a virtio console instead of the PL011 UART.
  Builder& setVirtioConsole(bool virtio);
  // The guest has a watchdog (Arm's SBSA generic watchdog, Linux's driver sbsa_gwdt), which runs from the start on: so long
  // without a refresh by the guest, its kernel or program, and the VM ends (StopReason::kWatchdogReboot). 1 second to a day
  // (kMaxWatchdogSeconds); 0: none.
  Builder& setWatchdogTimeout(std::chrono::seconds timeout);

  // --- On what.

  Builder& addDisk(HostDisk disk);
  Builder& setMemoryBytes(uint64_t bytes);  // more than 0; kDefaultMemoryBytes
  Builder& setCpuCount(uint32_t count);     // 1 to kMaxCpus; 1
  Builder& setCpuTopology(CpuTopology topology);

  // --- How it is protected. One of them must be called: a program says which isolation it relies on.

  Builder& setIsolation(IsolationLevel level);
  // AVF's: true is IsolationLevel::kHypervisor, false is kNone.
  Builder& setProtectedVm(bool is_protected);

  // --- For its developers.

  Builder& setDebugLevel(DebugLevel level);             // kNone
  Builder& setVmOutputCaptured(bool captured);          // console and log can be read; needs DebugLevel::kFull
  Builder& setVmConsoleInputSupported(bool supported);  // needs captured output
  Builder& setVerboseBoot(bool verbose);                // the guest's kernel writes its messages to the console
  // From run() to the payload's start, after which the VM is taken to hang (StopReason::kHangup); 0: never. 60 s.
  Builder& setBootTimeoutMillis(uint32_t milliseconds);

  // kInvalidArgument with a sentence: something is missing, excluded by something else, or out of range. Looks at no file.
  [[nodiscard]] Result<VirtualMachineConfig> build() const;

 private:
  std::unique_ptr<Data> data_;
};

}  // namespace adyton
