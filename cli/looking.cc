#include "cli/looking.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/crash_report.h"
#include "cli/message.h"
#include "cli/service.h"
#include "cli/user.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

nlohmann::json to_json(const CrashReport& report) {
  return {{"path", report.path},
          {"kind", to_string(report.kind)},
          {"cause", report.cause},
          {"time", format_time(report.time)},
          {"time_ms", std::chrono::duration_cast<std::chrono::milliseconds>(report.time.time_since_epoch()).count()}};
}

std::string crashed(const CrashReport& report) {
  return fmt::format("{} ({}); see 'adyton crash-report {}'", one_line(report.cause), format_time(report.time),
                     one_line(report.vm));
}

using nlohmann::json;

std::string dump(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

json to_json(const VirtualMachineInfo& info) {
  json object = {{"name", info.name},
                 {"cid", info.cid},
                 {"state", to_string(info.state)},
                 {"isolation", to_string(info.isolation)},
                 {"backend", info.backend},
                 {"suspended", info.suspended},
                 {"detached", info.detached},
                 {"persistent", info.persistent},
                 {"custom", info.custom},
                 {"cpus", info.cpu_count},
                 {"memory_bytes", info.memory_bytes},
                 {"pid", info.pid},
                 {"requester_uid", info.requester_uid},
                 {"requester_pid", info.requester_pid},
                 {"uptime_ms", info.uptime.count()},
                 {"cpu_time_ms", info.cpu_time.count()},
                 {"resident_bytes", info.resident_bytes},
                 {"peak_resident_bytes", info.peak_resident_bytes}};
  if (!info.vsock_socket.empty()) object["vsock_socket"] = info.vsock_socket;
  if (info.payload_exit_code) object["payload_exit_code"] = *info.payload_exit_code;
  if (info.state == VmState::kDead) {
    object["stop_reason"] = to_string(info.stop_reason);
    object["stop_message"] = info.stop_message;
  }
  if (info.crash_report) object["crash_report"] = to_json(*info.crash_report);
  return object;
}

bool has(const std::vector<VirtualMachineInfo>& running, const std::string& name) {
  return std::any_of(running.begin(), running.end(), [&](const auto& vm) { return vm.name == name; });
}

bool is_custom(const VirtualMachineConfig& config) { return config.getKernel() || config.getFirmware(); }

std::string cpus_of(const VirtualMachineConfig& config) {
  return config.getCpuCount() == 0 ? "as many as the host" : std::to_string(config.getCpuCount());
}

// Those of the records that do not run.
Result<std::vector<StoppedVm>> stopped_vms(VirtualMachineManager& manager, const std::vector<VirtualMachineInfo>& running) {
  std::vector<StoppedVm> stopped;
  for (const std::string& name : TRY(manager.listRecords())) {
    if (has(running, name)) continue;
    StoppedVm& vm = stopped.emplace_back(StoppedVm{.name = name, .config = std::nullopt});
    // One that goes meanwhile, or that is damaged, is listed all the same.
    const auto found = manager.get(name);
    if (!found || !*found) continue;
    if (auto config = (*found)->getConfig()) vm.config = std::move(*config);
  }
  return stopped;
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  // A character of UTF-8 has one byte that is no continuation.
  const auto width = [](const std::string& cell) {
    return static_cast<size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  };
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string format_duration(std::chrono::milliseconds time) {
  const int64_t seconds = time.count() / 1000;
  if (seconds < 10) return fmt::format("{:.1f}s", static_cast<double>(time.count()) / 1000);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string state_of(const VirtualMachineInfo& info) {
  return fmt::format("{}{}", to_string(info.state), info.suspended ? " (suspended)" : "");
}

std::string format_list(const std::vector<VirtualMachineInfo>& running, const std::vector<StoppedVm>& stopped, bool as_json) {
  if (as_json) {
    json all = json::array();
    for (const auto& vm : running) all.push_back(to_json(vm));
    for (const auto& vm : stopped) {
      json object = {{"name", vm.name}, {"state", "stopped"}, {"persistent", true}};
      if (vm.config) {
        object.update({{"isolation", to_string(vm.config->getIsolation())},
                       {"custom", is_custom(*vm.config)},
                       {"memory_bytes", vm.config->getMemoryBytes()}});
        if (const uint32_t cpus = vm.config->getCpuCount(); cpus != 0) object["cpus"] = cpus;
      }
      all.push_back(std::move(object));
    }
    return dump(all);
  }
  std::vector<std::vector<std::string>> rows = {{"NAME", "CID", "STATE", "ISOLATION", "CPUS", "MEMORY", "UPTIME", "KEPT"}};
  for (const auto& vm : running) {
    rows.push_back({vm.name, std::to_string(vm.cid), state_of(vm), std::string(to_string(vm.isolation)),
                    std::to_string(vm.cpu_count), sdk::format_size(vm.memory_bytes), format_duration(vm.uptime),
                    vm.persistent ? "yes" : "no"});
  }
  for (const auto& vm : stopped) {
    std::vector<std::string> row = {vm.name, "-", "stopped", "-", "-", "-", "-", "yes"};
    if (vm.config) {
      row[3] = to_string(vm.config->getIsolation());
      row[4] = cpus_of(*vm.config);
      row[5] = sdk::format_size(vm.config->getMemoryBytes());
    }
    rows.push_back(std::move(row));
  }
  return format_table(rows);
}

std::string format_info(const VirtualMachineInfo& info, bool as_json) {
  if (as_json) return dump(to_json(info));
  std::vector<std::vector<std::string>> rows = {
      {"Name:", info.name},
      {"CID:", std::to_string(info.cid)},
      {"State:", state_of(info)},
      {"Isolation:",
       std::string(to_string(info.isolation)) + (info.isolation == IsolationLevel::kNone ? " (the host may look in)" : "")},
      {"Backend:", info.backend},
      {"Kind:", fmt::format("{}{}{}", info.custom ? "custom" : "payload", info.persistent ? ", kept" : ", temporary",
                            info.detached ? ", detached" : "")},
      {"CPUs:", std::to_string(info.cpu_count)},
      {"Memory:", fmt::format("{}, {} resident (at most {})", sdk::format_size(info.memory_bytes),
                              sdk::format_size(info.resident_bytes), sdk::format_size(info.peak_resident_bytes))},
      {"Uptime:", fmt::format("{}, {} of CPU time", format_duration(info.uptime), format_duration(info.cpu_time))},
      {"Process:", fmt::format("{}, for process {} of user {}", info.pid, info.requester_pid, info.requester_uid)}};
  if (!info.vsock_socket.empty()) rows.push_back({"Vsock:", one_line(info.vsock_socket)});
  if (info.payload_exit_code) rows.push_back({"Exit code:", std::to_string(*info.payload_exit_code)});
  if (info.state == VmState::kDead)
    rows.push_back({"Ended:", fmt::format("{}: {}", to_string(info.stop_reason), one_line(info.stop_message))});
  if (info.crash_report) rows.push_back({"Crashed:", crashed(*info.crash_report)});
  return format_table(rows);
}

std::string format_machine(const Capabilities& capabilities, const ResourceUsage& usage, bool as_json) {
  if (as_json) {
    json isolation = json::array();
    for (const auto& level : capabilities.isolation) {
      isolation.push_back({{"level", to_string(level.level)}, {"available", level.available}, {"reason", level.reason}});
    }
    json backends = json::array();
    for (const auto& backend : capabilities.backends) {
      backends.push_back({{"name", backend.name},
                          {"available", backend.available},
                          {"reason", backend.reason},
                          {"host_features", backend.host_features}});
    }
    return dump({{"version", capabilities.service_version},
                 {"protected_vm", capabilities.protectedVmSupported()},
                 {"non_protected_vm", capabilities.nonProtectedVmSupported()},
                 {"isolation", isolation},
                 {"backends", backends},
                 {"vms", usage.vms},
                 {"max_vms", usage.max_vms},
                 {"max_vms_per_client", usage.max_vms_per_client},
                 {"cpus", usage.cpus},
                 {"max_cpus", usage.max_cpus},
                 {"max_cpus_per_client", usage.max_cpus_per_client},
                 {"memory_bytes", usage.memory_bytes},
                 {"max_memory_bytes", usage.max_memory_bytes},
                 {"max_memory_per_client_bytes", usage.max_memory_per_client_bytes},
                 {"resident_bytes", usage.resident_bytes},
                 {"clients", usage.clients}});
  }
  std::vector<std::vector<std::string>> rows = {
      {"Service:", "version " + capabilities.service_version},
      {"VMs:", fmt::format("{} of {}", usage.vms, usage.max_vms)},
      {"CPUs:", fmt::format("{} of {}", usage.cpus, usage.max_cpus)},
      {"Memory:", fmt::format("{} of {}, {} resident", sdk::format_size(static_cast<uint64_t>(usage.memory_bytes)),
                              sdk::format_size(static_cast<uint64_t>(usage.max_memory_bytes)),
                              sdk::format_size(static_cast<uint64_t>(usage.resident_bytes)))}};
  for (const auto& backend : capabilities.backends) {
    rows.push_back(
        {fmt::format("Backend {}:", backend.name),
         backend.available ? fmt::format("available ({})", fmt::join(backend.host_features, ", ")) : "no: " + backend.reason});
  }
  for (const auto& level : capabilities.isolation) {
    rows.push_back({fmt::format("Isolation {}:", to_string(level.level)), level.available ? "available" : "no: " + level.reason});
  }
  return format_table(rows);
}

int list(const ListOptions& options) {
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  const auto running = (*manager)->listRunning();
  if (!running) return failed(running.error());
  const auto stopped = options.running ? std::vector<StoppedVm>() : stopped_vms(**manager, *running);
  if (!stopped) return failed(stopped.error());
  if (!options.names) return print(format_list(*running, *stopped, options.json));
  std::string text;
  for (const auto& vm : *running) text += vm.name + "\n";
  for (const auto& vm : *stopped) text += vm.name + "\n";
  return print(text);
}

int info(const InfoOptions& options) {
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  if (!options.name) {
    const auto capabilities = (*manager)->capabilities();
    if (!capabilities) return failed(capabilities.error());
    const auto usage = (*manager)->resourceUsage();
    if (!usage) return failed(usage.error());
    return print(format_machine(*capabilities, *usage, options.json));
  }
  const auto vm = find_vm(**manager, *options.name);
  if (!vm) return failed(vm.error());
  const auto status = (*vm)->getStatus();
  if (!status) return failed(status.error());
  if (*status == VmStatus::kRunning) {
    const auto details = (*vm)->getInfo();
    if (!details) return failed(details.error());
    return print(format_info(*details, options.json));
  }
  const auto config = (*vm)->getConfig();
  if (!config) return failed(config.error());
  const auto last = (*vm)->getLastRun();
  if (!last) return failed(last.error());
  std::string ended = "-";
  if (*last) {
    ended = (*last)->stop.message;
    if (const auto code = (*last)->payload_exit_code) ended += fmt::format(" (exit code {})", *code);
  }
  if (options.json) {
    json object = {
        {"name", *options.name}, {"state", "stopped"}, {"last_end", ended}, {"config", json::parse(config->to_json())}};
    if (*last && (*last)->crash_report) object["crash_report"] = to_json(*(*last)->crash_report);
    return print(dump(object));
  }
  std::vector<std::vector<std::string>> rows = {
      {"Name:", *options.name},
      {"State:", "stopped"},
      {"Last end:", ended},
      {"Isolation:", std::string(to_string(config->getIsolation()))},
      {"CPUs:", cpus_of(*config)},
      {"Memory:", sdk::format_size(config->getMemoryBytes())},
      {"Runs:", config->getPayload().value_or(
                    config->getRootDirectory().value_or(config->getKernel().value_or(config->getFirmware().value_or("-"))))}};
  if (*last && (*last)->crash_report) rows.push_back({"Crashed:", crashed(*(*last)->crash_report)});
  return print(format_table(rows));
}

int balloon(const BalloonOptions& options) {
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  const auto vm = find_vm(**manager, options.name);
  if (!vm) return failed(vm.error());
  if (options.bytes) {
    const auto done = (*vm)->setMemoryBalloon(*options.bytes);
    return done ? 0 : failed(done.error());
  }
  const auto statistics = (*vm)->getStatistics();
  if (!statistics) return failed(statistics.error());
  const auto& balloon = statistics->balloon;
  const auto told = [](const std::optional<uint64_t>& bytes) { return bytes ? sdk::format_size(*bytes) : "not told"; };
  return print(
      fmt::format("In the balloon:          {} of {} asked for\n"
                  "Returned to the host:    {} since the start\n"
                  "Available in the guest:  {}\n",
                  sdk::format_size(balloon.actual), sdk::format_size(balloon.target), sdk::format_size(balloon.returned),
                  told(balloon.guest_available)));
}

}  // namespace adyton::cli
