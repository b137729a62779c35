// What a VirtualMachineConfig holds.
#pragma once
#include "adyton/virtual_machine_config.h"

namespace adyton {

struct VirtualMachineConfig::Data {
  std::optional<std::string> payload;
  std::optional<std::string> root_directory;
  std::optional<std::string> program;
  std::string argv0;  // the payload or program as it was given
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::string working_directory = "/";
  std::vector<HostMount> mounts;
  std::vector<HostDisk> disks;
  std::optional<TerminalSize> terminal;
  std::optional<std::string> kernel;
  std::optional<std::string> initrd;
  std::optional<std::string> firmware;
  std::string kernel_parameters;
  std::string kernel_suite;  // empty: the default
  bool virtio_console = false;
  uint32_t watchdog_seconds = 0;
  uint64_t memory_bytes = kDefaultMemoryBytes;
  uint32_t cpu_count = 1;
  bool match_host = false;                  // instead of cpu_count
  std::optional<IsolationLevel> isolation;  // none only while it is built
  DebugLevel debug_level = DebugLevel::kNone;
  bool output_captured = false;
  bool console_input_supported = false;
  bool verbose_boot = false;
  uint32_t boot_timeout_millis = 60'000;

  bool operator==(const Data&) const = default;

  [[nodiscard]] bool custom() const { return kernel || firmware; }
  // What stays the same when the payload's file is moved.
  [[nodiscard]] std::string payload_name() const;
  // The checks of build().
  [[nodiscard]] Result<void> check() const;
};

}  // namespace adyton
