#include <nlohmann/json.hpp>

#include "cli/looking.h"
#include "cli/top_views.h"

namespace adyton::cli {
namespace {

using nlohmann::json;

json to_json(const VirtualMachineStatistics& statistics) {
  json threads = json::object();
  for (const auto& [name, time] : statistics.thread_times) threads[name] = time.count();
  json devices = json::array();
  for (const auto& device : statistics.devices) {
    json queues = json::array();
    for (const auto& queue : device.queues) {
      queues.push_back({{"kicks", queue.kicks},
                        {"chains", queue.chains},
                        {"bytes_from_guest", queue.bytes_from_guest},
                        {"bytes_to_guest", queue.bytes_to_guest}});
    }
    devices.push_back({{"name", device.name}, {"interrupts", device.interrupts}, {"queues", queues}});
  }
  const auto& balloon = statistics.balloon;
  const auto told = [](const std::optional<uint64_t>& value) { return value ? json(*value) : json(nullptr); };
  return {{"thread_cpu_time_ms", threads},
          {"counts", statistics.counts},
          {"vcpus", statistics.vcpus},
          {"devices", devices},
          {"vsock",
           {{"connections", statistics.vsock.connections},
            {"opened", statistics.vsock.opened},
            {"refused", statistics.vsock.refused},
            {"bytes_from_guest", statistics.vsock.bytes_from_guest},
            {"bytes_to_guest", statistics.vsock.bytes_to_guest}}},
          {"balloon",
           {{"target", balloon.target},
            {"actual", balloon.actual},
            {"returned", balloon.returned},
            {"guest_free", told(balloon.guest_free)},
            {"guest_available", told(balloon.guest_available)},
            {"guest_total", told(balloon.guest_total)},
            {"guest_caches", told(balloon.guest_caches)}}}};
}

json to_json(const ServiceStatistics& service, const ServiceStatistics::Calls& calls) {
  const auto latency = [&](double share) {
    const auto time = service.latency(calls, share);
    return time ? json(time->count()) : json(nullptr);
  };
  return {{"vm", calls.vm.empty() ? json(nullptr) : json(calls.vm)},
          {"interface", calls.interface},
          {"method", calls.method},
          {"count", calls.count()},
          {"counts", calls.counts},
          {"time_ns", calls.time.count()},
          {"failures", calls.failures},
          {"p50_ns", latency(0.5)},
          {"p99_ns", latency(0.99)}};
}

}  // namespace

std::string format_top_json(const Look& now) {
  json vms = json::array();
  for (const auto& vm : now.vms) {
    json object = {{"info", json::parse(format_info(vm.info, /*json=*/true))}};
    if (vm.statistics) object["statistics"] = to_json(*vm.statistics);
    vms.push_back(std::move(object));
  }
  json pressures = json::array();
  for (const auto& pressure : now.service.host_pressure) {
    pressures.push_back({{"resource", pressure.resource},
                         {"kind", pressure.kind},
                         {"share", pressure.share},
                         {"stalled_us", pressure.stalled.count()}});
  }
  json bounds = json::array();
  for (const auto bound : now.service.call_bounds) bounds.push_back(bound.count());
  json calls = json::array();
  for (const auto& of : now.service.calls) calls.push_back(to_json(now.service, of));
  const json all = {{"service",
                     {{"version", now.service.version},
                      {"vms", now.service.vms},
                      {"clients", now.service.clients},
                      {"resident_bytes", now.service.resident_bytes}}},
                    {"host_pressure", pressures},
                    {"rpc", {{"bounds_ns", bounds}, {"calls", calls}}},
                    {"vms", vms}};
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace adyton::cli
