#include "cli/top.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "cli/looking.h"
#include "cli/message.h"
#include "cli/service.h"
#include "cli/user.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

using Activity = VirtualMachineManager::Activity;
using nlohmann::json;

const Activity* earlier_of(const Activity& vm, const Look& before) {
  const auto found = std::ranges::find_if(
      before, [&](const Activity& earlier) { return earlier.info.cid == vm.info.cid && earlier.info.pid == vm.info.pid; });
  return found == before.end() ? nullptr : &*found;
}

// What a count has grown by in a second; "-" for a VM that does not tell.
std::string rate(const Activity& vm, const Activity* earlier, std::chrono::milliseconds elapsed, bool size,
                 const std::function<uint64_t(const VirtualMachineStatistics&)>& count) {
  if (!vm.statistics || elapsed.count() <= 0) return "-";
  const uint64_t now = count(*vm.statistics);
  const uint64_t then = earlier != nullptr && earlier->statistics ? count(*earlier->statistics) : 0;
  const double per_second = static_cast<double>(now - std::min(now, then)) * 1000 / static_cast<double>(elapsed.count());
  return size ? sdk::format_size(static_cast<uint64_t>(per_second)) : fmt::format("{:.0f}", per_second);
}

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

}  // namespace

std::string format_top(const Look& before, const Look& now, std::chrono::milliseconds elapsed) {
  std::vector<std::vector<std::string>> rows = {{"NAME", "CID", "STATE", "CPUS", "CPU%", "EXITS/S", "VSOCK OUT/S", "VSOCK IN/S",
                                                 "MEMORY", "RESIDENT", "CPU TIME", "UPTIME"}};
  for (const Activity& vm : now) {
    const Activity* const earlier = earlier_of(vm, before);
    const auto over = earlier != nullptr ? elapsed : vm.info.uptime;
    const auto used = vm.info.cpu_time - (earlier != nullptr ? earlier->info.cpu_time : std::chrono::milliseconds(0));
    const double share = over.count() > 0 ? 100.0 * static_cast<double>(used.count()) / static_cast<double>(over.count()) : 0;
    rows.push_back({vm.info.name, std::to_string(vm.info.cid), state_of(vm.info), std::to_string(vm.info.cpu_count),
                    fmt::format("{:.1f}", share), rate(vm, earlier, over, false, [](const auto& s) { return s.exits(); }),
                    rate(vm, earlier, over, true, [](const auto& s) { return s.vsock.bytes_from_guest; }),
                    rate(vm, earlier, over, true, [](const auto& s) { return s.vsock.bytes_to_guest; }),
                    sdk::format_size(vm.info.memory_bytes), sdk::format_size(vm.info.resident_bytes),
                    format_duration(vm.info.cpu_time), format_duration(vm.info.uptime)});
  }
  return format_table(rows);
}

std::string format_top_json(const Look& now) {
  json all = json::array();
  for (const Activity& vm : now) {
    json object = {{"info", json::parse(format_info(vm.info, /*json=*/true))}};
    if (vm.statistics) object["statistics"] = to_json(*vm.statistics);
    all.push_back(std::move(object));
  }
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

int top(const TopOptions& options) {
  const auto signals = take_signals();  // before there are threads that a signal could go to
  if (!signals) return failed(signals.error());
  const auto manager = connect_to_service();
  if (!manager) return failed(manager.error());
  if (options.json) {
    const auto now = (*manager)->listActivity();
    return now ? print(format_top_json(*now)) : failed(now.error());
  }
  const bool terminal = ::isatty(STDOUT_FILENO) == 1 && !options.once;
  using Clock = std::chrono::steady_clock;
  Look before;
  Clock::time_point looked;
  for (bool first = true;; first = false) {
    auto now = (*manager)->listActivity();
    if (!now) return failed(now.error());
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - looked);
    looked = Clock::now();
    if (!first || !options.once) {
      const std::string table = format_top(before, *now, elapsed);
      if (const int code = print((terminal ? "\033[H\033[J" : "") + table); code != 0) return code;
      if (options.once) return 0;
    }
    before = std::move(*now);
    pollfd wake{.fd = signals->get(), .events = POLLIN, .revents = 0};
    while (::poll(&wake, 1, static_cast<int>(options.interval.count())) > 0) {
      signalfd_siginfo signal{};
      if (::read(signals->get(), &signal, sizeof(signal)) != sizeof(signal)) break;
      const auto number = static_cast<int>(signal.ssi_signo);
      if (number == SIGWINCH || number == SIGCONT || number == SIGUSR1 || number == SIGUSR2) break;
      return number == SIGINT ? 0 : 128 + number;
    }
  }
}

}  // namespace adyton::cli
