#include "service/settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/sysinfo.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/unique_fd.h"

namespace adyton::service {
namespace {

constexpr size_t kMaxFile = 64 * 1024;

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

Result<uint64_t> parse_number(std::string_view text, uint64_t max) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max)
    return bad(fmt::format("'{}' is not a number from 0 to {}", text, max));
  return value;
}

// One setting, by its name in the file; options have dashes.
Result<void> set(Settings& settings, std::string_view key, std::string_view value, uint64_t total) {
  const auto count = [&](uint32_t& field) -> Result<void> {
    field = static_cast<uint32_t>(TRY(parse_number(value, UINT32_MAX)));
    return {};
  };
  if (key == "max_vms") return count(settings.limits.vms);
  if (key == "max_vms_per_client") return count(settings.limits.vms_per_client);
  if (key == "max_cpus") return count(settings.limits.cpus);
  if (key == "max_cpus_per_client") return count(settings.limits.cpus_per_client);
  if (key == "max_memory") {
    settings.limits.memory = TRY(parse_memory(value, total));
    return {};
  }
  if (key == "max_memory_per_client") {
    settings.limits.memory_per_client = TRY(parse_memory(value, total));
    return {};
  }
  if (key == "idle_exit") {
    settings.idle_exit = std::chrono::seconds(TRY(parse_number(value, 1'000'000'000)));
    return {};
  }
  if (key == "metrics_port") {
    settings.metrics_port = static_cast<uint16_t>(TRY(parse_number(value, UINT16_MAX)));
    return {};
  }
  if (key == "log_level") {
    settings.log.level = TRY(log::parse_level(value));
    return {};
  }
  if (key == "log_format") {
    settings.log.format = TRY(log::parse_format(value));
    return {};
  }
  if (key == "log_to") {
    settings.log.destination = TRY(log::parse_destination(value));
    return {};
  }
  return fail(ErrorCode::kNotFound, fmt::format("there is no setting '{}'", key));
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::string();
    return fail_errno("cannot read " + path);
  }
  std::string text(kMaxFile + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxFile) return bad(fmt::format("{} is larger than {} bytes", path, kMaxFile));
  text.resize(size);
  return text;
}

std::string config_path() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && config[0] == '/')
    return fmt::format("{}/adyton/adytond.toml", config);
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/')
    return fmt::format("{}/.config/adyton/adytond.toml", home);
  return {};
}

}  // namespace

usage::Program describe_options() {
  return {
      .name = "adytond",
      .section = 8,
      .description = "The virtualization service of Adyton, one for each user. Programs start it when they need it.",
      .forms = {"adytond [OPTION]..."},
      .arguments = {},
      .options = {{.names = {"--max-vms"}, .value = "N", .description = "VMs at a time (64)"},
                  {.names = {"--max-vms-per-client"}, .value = "N", .description = "VMs at a time of one program (32)"},
                  {.names = {"--max-cpus"}, .value = "N", .description = "CPUs of all VMs together (256)"},
                  {.names = {"--max-cpus-per-client"}, .value = "N", .description = "CPUs of one program's VMs together (128)"},
                  {.names = {"--max-memory"},
                   .value = "SIZE",
                   .description = "memory of all VMs together: bytes, 512M, 8G, or a part of the machine's (80%)"},
                  {.names = {"--max-memory-per-client"},
                   .value = "SIZE",
                   .description = "memory of one program's VMs together (60%)"},
                  {.names = {"--idle-exit"},
                   .value = "SECONDS",
                   .description = "end after so long without a client and a VM; 0: never (60)"},
                  {.names = {"--metrics-port"},
                   .value = "N",
                   .description = "serve metrics on this port of 127.0.0.1 too, to every user of this machine"},
                  {.names = {"--log-level"}, .value = "off|error|warning|info|debug", .description = "what to log (info)"},
                  {.names = {"--log-format"}, .value = "text|json", .description = "of a log on standard error (text)"},
                  {.names = {"--log-to"},
                   .value = "stderr|journal|auto",
                   .description = "the log; auto: the journal if standard error goes there or to adytond.log (auto)"},
                  {.names = {"--ready-fd"}, .value = "N", .description = "write a byte there once programs may connect"},
                  {.names = {"--vmm"}, .value = "PROGRAM", .description = "the adyton-vmm to run VMs with"},
                  {.names = {"-h", "--help"}, .value = {}, .description = "show this help"},
                  {.names = {"--version"}, .value = {}, .description = "show the version"}},
      .notes =
          "The file $XDG_CONFIG_HOME/adyton/adytond.toml takes the same settings (max_vms = 8). ADYTON_LOG and\n"
          "ADYTON_LOG_FORMAT are the log's level and format where no option says otherwise. ADYTON_RUNTIME_DIR names the\n"
          "folder of the socket instead of $XDG_RUNTIME_DIR/adyton."};
}

std::string usage_text() {
  const usage::Program program = describe_options();
  std::string text = fmt::format("Usage: {}\n{}\n\n", program.forms.front(), program.description);
  for (const usage::Option& option : program.options)
    text += fmt::format("  {:<40} {}\n", fmt::format("{} {}", fmt::join(option.names, ", "), option.value), option.description);
  return text + "\n" + program.notes + "\n";
}

Result<uint64_t> parse_memory(std::string_view text, uint64_t total) {
  const auto wrong = [&] { return bad(fmt::format("'{}' is not a size such as 512M, 8G or 80%", text)); };
  if (text.empty()) return wrong();
  std::string_view digits = text;
  unsigned shift = 0;
  bool percent = false;
  switch (text.back()) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    case 'T': shift = 40; break;
    case '%': percent = true; break;
    default: break;
  }
  if (shift != 0 || percent) digits.remove_suffix(1);
  const auto number = parse_number(digits, UINT64_MAX);
  if (!number) return wrong();
  if (percent) return *number <= 1000 ? Result<uint64_t>(total / 100 * *number) : wrong();
  if (shift != 0 && *number >> (64 - shift) != 0) return wrong();
  return *number << shift;
}

uint64_t total_memory() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return 0;
  return uint64_t{info.totalram} * info.mem_unit;
}

Settings default_settings(uint64_t total) {
  Settings settings;
  settings.limits.memory = total / 100 * 80;
  settings.limits.memory_per_client = total / 100 * 60;
  return settings;
}

Result<void> apply_toml(Settings& settings, std::string_view text, const std::string& name, uint64_t total) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return bad(fmt::format("{}, line {}: {}", name, parsed.error().source().begin.line, parsed.error().description()));
  for (const auto& [key, node] : parsed.table()) {
    std::string value;
    if (const auto* number = node.as_integer()) {
      value = fmt::to_string(number->get());
    } else if (const auto* string = node.as_string()) {
      value = string->get();
    } else {
      return bad(fmt::format("{}: {} is neither a number nor a string", name, key.str()));
    }
    if (auto done = set(settings, key.str(), value, total); !done)
      return bad(fmt::format("{}: {}: {}", name, key.str(), done.error().message));
  }
  return {};
}

Result<void> apply_options(Settings& settings, std::span<const char* const> arguments, uint64_t total) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      settings.help = true;
      continue;
    }
    if (argument == "--version") {
      settings.version = true;
      continue;
    }
    if (!argument.starts_with("--")) return bad(fmt::format("'{}' is not an option; see adytond --help", argument));
    std::string key(argument.substr(2));
    std::string value;
    if (const size_t equals = key.find('='); equals != std::string::npos) {
      value = key.substr(equals + 1);
      key.resize(equals);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return bad(fmt::format("{} lacks its value", argument));
    }
    if (key == "ready-fd") {
      settings.ready_fd = static_cast<int>(TRY(parse_number(value, INT32_MAX)));
      continue;
    }
    if (key == "vmm") {
      settings.vmm = value;
      continue;
    }
    for (char& c : key) {
      if (c == '-') c = '_';
    }
    if (auto done = set(settings, key, value, total); !done) {
      if (done.error().code == ErrorCode::kNotFound)
        return bad(fmt::format("there is no option {}; see adytond --help", argument));
      return bad(fmt::format("{}: {}", argument, done.error().message));
    }
  }
  return {};
}

Result<Settings> load_settings(std::span<const char* const> arguments) {
  const uint64_t total = total_memory();
  Settings settings = default_settings(total);
  if (const std::string path = config_path(); !path.empty()) {
    const std::string text = TRY(read_file(path));
    TRY(apply_toml(settings, text, path, total));
  }
  TRY(log::read_environment(settings.log));
  TRY(apply_options(settings, arguments, total));
  return settings;
}

}  // namespace adyton::service
