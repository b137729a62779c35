// The configuration as the service keeps it in a VM's record.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "adyton/virtual_machine_config.h"
#include "sdk/config_data.h"

namespace adyton {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

// Reads one member after the other; the first that is not what it should be is remembered.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  void read(const char* name, bool& value) {
    with(name, &json::is_boolean, [&](const json& j) { value = j.get<bool>(); });
  }
  void read(const char* name, uint64_t& value) {
    with(name, &json::is_number_unsigned, [&](const json& j) { value = j.get<uint64_t>(); });
  }
  void read(const char* name, uint32_t& value) {
    uint64_t wide = value;
    read(name, wide);
    if (wide > UINT32_MAX) fail_at(name);
    value = static_cast<uint32_t>(wide);
  }
  void read(const char* name, std::string& value) {
    with(name, &json::is_string, [&](const json& j) { value = j.get<std::string>(); });
  }
  void read(const char* name, std::optional<std::string>& value) {
    if (object_.contains(name)) read(name, value.emplace());
  }
  void read(const char* name, std::vector<std::string>& values) {
    with(name, &json::is_array, [&](const json& list) {
      for (const json& element : list) {
        if (!element.is_string()) return fail_at(name);
        values.push_back(element.get<std::string>());
      }
    });
  }
  // A list of objects, each read by `each(reader, value)`.
  template <typename T, typename F>
  void read_objects(const char* name, std::vector<T>& values, F each) {
    with(name, &json::is_array, [&](const json& list) {
      for (const json& element : list) {
        if (!element.is_object()) return fail_at(name);
        Reader inner(element);
        each(inner, values.emplace_back());
        if (!inner.wrong_.empty()) fail_at(name);
      }
    });
  }
  template <typename F>
  void read_object(const char* name, F each) {
    with(name, &json::is_object, [&](const json& j) {
      Reader inner(j);
      each(inner);
      if (!inner.wrong_.empty()) fail_at(name);
    });
  }
  void fail_at(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  template <typename F>
  void with(const char* name, bool (json::*is_right)() const noexcept, F take) {
    const auto found = object_.find(name);
    if (found == object_.end()) return;
    if (!((*found).*is_right)()) return fail_at(name);
    take(*found);
  }

  const json& object_;
  std::string wrong_;
};

std::unexpected<Error> corrupt(std::string message) { return fail(ErrorCode::kCorrupt, std::move(message)); }

}  // namespace

// Members that have their default value are left out.
std::string VirtualMachineConfig::to_json() const {
  const Data& data = *data_;
  const Data defaults;
  json object = {{"version", kVersion}, {"isolation", to_string(*data.isolation)}};
  const auto put = [&](const char* name, const auto& value, const auto& without) {
    if (value != without) object[name] = value;
  };
  for (const auto& [name, path] : {std::pair("payload", &data.payload),
                                   {"root_directory", &data.root_directory},
                                   {"program", &data.program},
                                   {"kernel", &data.kernel},
                                   {"initrd", &data.initrd},
                                   {"firmware", &data.firmware}}) {
    if (*path) object[name] = **path;
  }
  put("argv0", data.argv0, defaults.argv0);
  put("arguments", data.arguments, defaults.arguments);
  put("environment", data.environment, defaults.environment);
  put("working_directory", data.working_directory, defaults.working_directory);
  for (const HostMount& mount : data.mounts) {
    object["mounts"].push_back({{"source", mount.source}, {"target", mount.target}, {"read_only", mount.read_only}});
  }
  for (const HostDisk& disk : data.disks) object["disks"].push_back({{"path", disk.path}, {"read_only", disk.read_only}});
  if (data.terminal) object["terminal"] = {{"rows", data.terminal->rows}, {"columns", data.terminal->columns}};
  put("kernel_parameters", data.kernel_parameters, defaults.kernel_parameters);
  put("kernel_suite", data.kernel_suite, defaults.kernel_suite);
  put("virtio_console", data.virtio_console, defaults.virtio_console);
  put("watchdog_seconds", data.watchdog_seconds, uint32_t{0});
  put("memory_bytes", data.memory_bytes, uint64_t{0});
  put("cpu_count", data.cpu_count, uint32_t{0});
  put("match_host", data.match_host, false);
  if (data.debug_level == DebugLevel::kFull) object["debug_level"] = "full";
  put("output_captured", data.output_captured, false);
  put("console_input_supported", data.console_input_supported, false);
  put("verbose_boot", data.verbose_boot, false);
  put("boot_timeout_millis", data.boot_timeout_millis, defaults.boot_timeout_millis);
  // Paths may be in any encoding, JSON may not.
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<VirtualMachineConfig> VirtualMachineConfig::from_json(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return corrupt("a VM's configuration is not a JSON object");
  Data data;
  Reader reader(object);
  uint32_t version = 0;
  std::string isolation;
  std::string debug_level = "none";
  reader.read("version", version);
  reader.read("isolation", isolation);
  reader.read("payload", data.payload);
  reader.read("root_directory", data.root_directory);
  reader.read("program", data.program);
  reader.read("kernel", data.kernel);
  reader.read("initrd", data.initrd);
  reader.read("firmware", data.firmware);
  reader.read("argv0", data.argv0);
  reader.read("arguments", data.arguments);
  reader.read("environment", data.environment);
  reader.read("working_directory", data.working_directory);
  reader.read_objects("mounts", data.mounts, [](Reader& inner, HostMount& mount) {
    inner.read("source", mount.source);
    inner.read("target", mount.target);
    inner.read("read_only", mount.read_only);
  });
  reader.read_objects("disks", data.disks, [](Reader& inner, HostDisk& disk) {
    inner.read("path", disk.path);
    inner.read("read_only", disk.read_only);
  });
  reader.read_object("terminal", [&](Reader& inner) {
    uint32_t rows = 24;
    uint32_t columns = 80;
    inner.read("rows", rows);
    inner.read("columns", columns);
    if (rows > UINT16_MAX || columns > UINT16_MAX) inner.fail_at("rows");
    data.terminal = TerminalSize{.rows = static_cast<uint16_t>(rows), .columns = static_cast<uint16_t>(columns)};
  });
  reader.read("kernel_parameters", data.kernel_parameters);
  reader.read("kernel_suite", data.kernel_suite);
  reader.read("virtio_console", data.virtio_console);
  reader.read("watchdog_seconds", data.watchdog_seconds);
  reader.read("memory_bytes", data.memory_bytes);
  reader.read("cpu_count", data.cpu_count);
  reader.read("match_host", data.match_host);
  reader.read("debug_level", debug_level);
  reader.read("output_captured", data.output_captured);
  reader.read("console_input_supported", data.console_input_supported);
  reader.read("verbose_boot", data.verbose_boot);
  reader.read("boot_timeout_millis", data.boot_timeout_millis);
  if (!reader.wrong().empty()) return corrupt(fmt::format("a VM's configuration has a wrong value for '{}'", reader.wrong()));
  if (version != kVersion)
    return corrupt(fmt::format("a VM's configuration is of version {}, which this Adyton does not know", version));
  for (const IsolationLevel level : {IsolationLevel::kNone, IsolationLevel::kProcess, IsolationLevel::kHypervisor}) {
    if (isolation == to_string(level)) data.isolation = level;
  }
  if (!data.isolation) return corrupt(fmt::format("a VM's configuration asks for isolation '{}'", isolation));
  if (debug_level != "none" && debug_level != "full")
    return corrupt(fmt::format("a VM's configuration has debug level '{}'", debug_level));
  if (debug_level == "full") data.debug_level = DebugLevel::kFull;
  TRY(data.check());
  return VirtualMachineConfig(std::make_shared<const Data>(std::move(data)));
}

}  // namespace adyton
