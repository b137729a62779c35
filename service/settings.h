// What adytond is told: built-in defaults, then $XDG_CONFIG_HOME/adyton/adytond.toml, then ADYTON_LOG and ADYTON_LOG_FORMAT, then
// its options.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/log/sinks.h"
#include "base/result.h"
#include "base/usage/program_usage.h"
#include "service/budget.h"

namespace adyton::service {

struct Settings {
  Limits limits;
  std::chrono::seconds idle_exit{60};    // 0: never
  std::optional<uint16_t> metrics_port;  // of 127.0.0.1, beside the Unix socket
  std::optional<int> ready_fd;           // a byte is written there once clients may connect
  std::optional<std::string> vmm;        // this adyton-vmm instead of the one beside us
  log::Options log;                      // level, format, destination
  bool help = false;
  bool version = false;
};

// "512M", "8G", "80%" (of `total`), or bytes. kInvalidArgument otherwise, and for more than fits.
Result<uint64_t> parse_memory(std::string_view text, uint64_t total);

// The machine's memory, bytes (MemTotal).
uint64_t total_memory();

Settings default_settings(uint64_t total_memory);

// Applies a TOML text; `name` is for messages. Unknown keys are errors: a typo must not pass.
Result<void> apply_toml(Settings& settings, std::string_view text, const std::string& name, uint64_t total_memory);

// Applies options ("--max-vms=8", "--max-vms 8").
Result<void> apply_options(Settings& settings, std::span<const char* const> arguments, uint64_t total_memory);

// All of them. A configuration file that does not exist is fine.
Result<Settings> load_settings(std::span<const char* const> arguments);

// The options, for --help, the man page and completion scripts.
usage::Program describe_options();
std::string usage_text();  // what --help prints

}  // namespace adyton::service
