// The command line of `adyton`, parsed and checked as far as text alone allows.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
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
  bool virtio_console = false;
  std::vector<DiskOption> disks;
  std::optional<std::string> console_log;
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<bool> tty;  // none: when stdin and stdout are terminals
  bool quiet = false;
  bool verbose = false;
  std::vector<std::string> command;  // the payload and its arguments

  // A VM of the user's own instead of a payload in ours.
  [[nodiscard]] bool raw() const { return kernel || firmware; }
};

struct DoctorOptions {
  bool json = false;
};

// Fetches and builds what the first `run` would.
struct PrepareOptions {
  bool quiet = false;
};

// Text to print and be done: --help, --version.
struct PrintText {
  std::string text;
};

using Command = std::variant<RunOptions, PrepareOptions, DoctorOptions, PrintText>;

// `arguments` is argv with the program's name. Fails with a sentence for the user.
Result<Command> parse_command_line(const std::vector<std::string>& arguments);

// "SRC:DST[:ro]" and "FILE[,ro]".
Result<MountOption> parse_mount(const std::string& text);
Result<DiskOption> parse_disk(const std::string& text);

}  // namespace adyton::cli
