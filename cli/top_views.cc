#include "cli/top_views.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>

#include "cli/looking.h"
#include "cli/message.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

using Activity = VirtualMachineManager::Activity;
using Statistics = VirtualMachineStatistics;
using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

// At most five characters: 7, 1.5k, 12k, 3.4M. Units are of 1000, or, with `binary`, of 1024.
std::string compact(double value, bool binary = false) {
  const double step = binary ? 1024 : 1000;
  constexpr std::string_view kUnits = "kMGTPE";
  size_t unit = 0;
  while (value >= step - 0.5 && unit < kUnits.size()) {
    value /= step;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}", value);
  const char letter = binary && unit == 1 ? 'K' : kUnits[unit - 1];
  return value < 9.95 ? fmt::format("{:.1f}{}", value, letter) : fmt::format("{:.0f}{}", value, letter);
}
std::string compact_bytes(uint64_t bytes) { return compact(static_cast<double>(bytes), /*binary=*/true); }

std::string shortened(std::string text, size_t most) {
  text = one_line(std::move(text));
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (++characters < most) continue;
    size_t next = i + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xc0) == 0x80) ++next;
    if (next < text.size()) return text.substr(0, i) + "…";
    break;
  }
  return text;
}

// One VM in two looks.
struct Period {
  const Activity& now;
  const Activity* earlier;  // none: it is new
  std::chrono::milliseconds length;

  using Count = std::function<uint64_t(const Statistics&)>;
  [[nodiscard]] std::optional<double> rate(const Count& count) const {
    if (!now.statistics || length.count() <= 0) return std::nullopt;
    // It did not answer the last time: nothing is known of the time since then alone.
    if (earlier != nullptr && !earlier->statistics) return std::nullopt;
    const uint64_t value = count(*now.statistics);
    const uint64_t before = earlier != nullptr ? count(*earlier->statistics) : 0;
    return static_cast<double>(value - std::min(value, before)) * 1000 / static_cast<double>(length.count());
  }
  [[nodiscard]] std::string per_second(const Count& count) const {
    const auto value = rate(count);
    return value ? compact(*value) : "-";
  }
  [[nodiscard]] std::string bytes_per_second(const Count& count) const {
    const auto value = rate(count);
    return value ? compact(*value, /*binary=*/true) : "-";
  }
  [[nodiscard]] std::string bytes(const Count& count) const {
    return now.statistics ? compact_bytes(count(*now.statistics)) : "-";
  }
  [[nodiscard]] std::string total(const Count& count) const {
    return now.statistics ? compact(static_cast<double>(count(*now.statistics))) : "-";
  }
  [[nodiscard]] double cpu_share() const {
    const auto used = now.info.cpu_time - (earlier != nullptr ? earlier->info.cpu_time : std::chrono::milliseconds(0));
    return length.count() > 0 ? 100.0 * static_cast<double>(used.count()) / static_cast<double>(length.count()) : 0;
  }
};

uint64_t of_vcpus(const Statistics& statistics, const std::string& name) {
  uint64_t sum = 0;
  for (const auto& vcpu : statistics.vcpus) {
    if (const auto found = vcpu.find(name); found != vcpu.end()) sum += found->second;
  }
  return sum;
}
Period::Count vcpu_count(std::string name) {
  return [name = std::move(name)](const Statistics& s) { return of_vcpus(s, name); };
}
Period::Count vm_count(std::string name) {
  return [name = std::move(name)](const Statistics& s) {
    const auto found = s.counts.find(name);
    return found == s.counts.end() ? uint64_t{0} : found->second;
  };
}
uint64_t tlb_misses(const Statistics& s) { return of_vcpus(s, "tlb_refills") + of_vcpus(s, "table_walks"); }
uint64_t virtqueue_bytes(const Statistics& s) {
  uint64_t sum = 0;
  for (const auto& device : s.devices) {
    for (const auto& queue : device.queues) sum += queue.bytes_from_guest + queue.bytes_to_guest;
  }
  return sum;
}
uint64_t vsock_bytes(const Statistics& s) { return s.vsock.bytes_from_guest + s.vsock.bytes_to_guest; }

std::string state_shown(const VirtualMachineInfo& info) {
  if (info.suspended) return "suspended";
  return info.state == VmState::kNotStarted ? "new" : std::string(to_string(info.state));
}

class Tables {
 public:
  Tables(const Look& before, const Look& now, std::chrono::milliseconds elapsed, size_t columns)
      : before_(before), now_(now), elapsed_(elapsed), wide_(columns >= 132), name_(columns >= 132 ? 24 : 16) {}

  [[nodiscard]] std::string head() const {
    std::string text = fmt::format("adytond {}: {} VM{}, {} client{}, {}", one_line(now_.service.version), now_.service.vms,
                                   now_.service.vms == 1 ? "" : "s", now_.service.clients, now_.service.clients == 1 ? "" : "s",
                                   sdk::format_size(now_.service.resident_bytes));
    // As the kernel writes them: of the last ten seconds, the share in which some task, and in which all, had to wait.
    std::map<std::string, std::string> waits;
    for (const auto& pressure : now_.service.host_pressure) {
      std::string& shown = waits[pressure.resource];
      shown += fmt::format("{}{:.1f}", shown.empty() ? "" : "/", 100 * pressure.share);
    }
    text += "\nhost pressure, some/full % of 10 s:";
    for (const auto& [resource, shares] : waits) text += fmt::format(" {} {}", resource, shares);
    return text + (waits.empty() ? " the kernel does not tell\n" : "\n");
  }

  [[nodiscard]] std::string of(TopView view) const {
    switch (view) {
      case TopView::kVms: return vms();
      case TopView::kExits: return exits();
      case TopView::kCode: return code();
      case TopView::kMemory: return memory();
      case TopView::kDevices: return devices();
      case TopView::kVsock: return vsock();
      case TopView::kRpc: return rpc();
    }
    return {};
  }

  // CPU time by thread, which has a place only when there is one VM.
  [[nodiscard]] std::string threads() const {
    Rows rows = {{"NAME", "THREAD", "CPU%", "CPU TIME"}};
    for (const Period& vm : periods()) {
      if (!vm.now.statistics) continue;
      for (const auto& [thread, time] : vm.now.statistics->thread_times) {
        const auto used = vm.rate([&](const Statistics& s) {
          const auto found = s.thread_times.find(thread);
          return found == s.thread_times.end() ? uint64_t{0} : static_cast<uint64_t>(found->second.count());
        });
        rows.push_back({name_of(vm), one_line(thread), used ? fmt::format("{:.1f}", *used / 10) : "-", format_duration(time)});
      }
    }
    return format_table(rows);
  }

 private:
  [[nodiscard]] std::vector<Period> periods() const {
    std::vector<Period> all;
    for (const Activity& vm : now_.vms) {
      const auto found = std::ranges::find_if(before_.vms, [&](const Activity& earlier) {
        return earlier.info.cid == vm.info.cid && earlier.info.pid == vm.info.pid;
      });
      const Activity* const earlier = found == before_.vms.end() ? nullptr : &*found;
      all.push_back({.now = vm, .earlier = earlier, .length = earlier != nullptr ? elapsed_ : vm.info.uptime});
    }
    return all;
  }
  [[nodiscard]] std::string name_of(const Period& vm) const { return shortened(vm.now.info.name, name_); }

  [[nodiscard]] std::string vms() const {
    Rows rows = {{"NAME", "STATE", "CPU%", "EXITS/S", "CODE", "TLB/S", "MEM", "RES", "BALLOON", "VIRTQ/S", "VSOCK/S"}};
    if (wide_) rows[0].insert(rows[0].end(), {"CID", "CPUS", "CPU TIME", "UPTIME"});
    for (const Period& vm : periods()) {
      const VirtualMachineInfo& info = vm.now.info;
      Row& row =
          rows.emplace_back(Row{name_of(vm), state_shown(info), fmt::format("{:.1f}", vm.cpu_share()),
                                vm.per_second([](const Statistics& s) { return s.exits(); }), vm.bytes(vm_count("code_bytes")),
                                vm.per_second(tlb_misses), compact_bytes(info.memory_bytes), compact_bytes(info.resident_bytes),
                                vm.bytes([](const Statistics& s) { return s.balloon.actual; }),
                                vm.bytes_per_second(virtqueue_bytes), vm.bytes_per_second(vsock_bytes)});
      if (wide_) {
        row.insert(row.end(), {std::to_string(info.cid), std::to_string(info.cpu_count), format_duration(info.cpu_time),
                               format_duration(info.uptime)});
      }
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string exits() const {
    std::vector<std::string> reasons;  // in the order of their names: those that some VM counts
    for (const Activity& vm : now_.vms) {
      if (!vm.statistics) continue;
      for (const auto& vcpu : vm.statistics->vcpus) {
        for (const auto& [name, value] : vcpu) {
          if (name.starts_with("exits.") && std::ranges::find(reasons, name) == reasons.end()) reasons.push_back(name);
        }
      }
    }
    std::ranges::sort(reasons);
    Rows rows = {{"NAME", "EXITS/S"}};
    for (const std::string& reason : reasons) rows[0].push_back(shortened(reason.substr(reason.find('.') + 1), 9));
    rows[0].emplace_back("IRQS/S");
    for (const Period& vm : periods()) {
      Row& row = rows.emplace_back(Row{name_of(vm), vm.per_second([](const Statistics& s) { return s.exits(); })});
      for (const std::string& reason : reasons) row.push_back(vm.per_second(vcpu_count(reason)));
      row.push_back(vm.per_second(vcpu_count("interrupts")));
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string code() const {
    Rows rows = {{"NAME", "CODE", "ROOM", "FLUSHES", "BLOCKS/S", "INSTRUCTIONS/S", "TLB REFILLS/S", "TABLE WALKS/S"}};
    for (const Period& vm : periods()) {
      rows.push_back({name_of(vm), vm.bytes(vm_count("code_bytes")), vm.bytes(vm_count("code_capacity_bytes")),
                      vm.total(vm_count("code_flushes")), vm.per_second(vcpu_count("translated_blocks")),
                      vm.per_second(vcpu_count("translated_instructions")), vm.per_second(vcpu_count("tlb_refills")),
                      vm.per_second(vcpu_count("table_walks"))});
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string memory() const {
    Rows rows = {
        {"NAME", "GIVEN", "RESIDENT", "PEAK", "BALLOON", "TARGET", "RETURNED", "MANAGED", "FREE", "AVAILABLE", "CACHES"}};
    for (const Period& vm : periods()) {
      const auto told = [&](std::optional<uint64_t> Statistics::Balloon::*what) -> std::string {
        if (!vm.now.statistics || !(vm.now.statistics->balloon.*what)) return "-";
        return compact_bytes(*(vm.now.statistics->balloon.*what));
      };
      const auto& info = vm.now.info;
      rows.push_back({name_of(vm), compact_bytes(info.memory_bytes), compact_bytes(info.resident_bytes),
                      compact_bytes(info.peak_resident_bytes), vm.bytes([](const Statistics& s) { return s.balloon.actual; }),
                      vm.bytes([](const Statistics& s) { return s.balloon.target; }),
                      vm.bytes([](const Statistics& s) { return s.balloon.returned; }), told(&Statistics::Balloon::guest_total),
                      told(&Statistics::Balloon::guest_free), told(&Statistics::Balloon::guest_available),
                      told(&Statistics::Balloon::guest_caches)});
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string devices() const {
    Rows rows = {{"NAME", "SLOT", "DEVICE", "QUEUE", "KICKS/S", "CHAINS/S", "FROM GUEST/S", "TO GUEST/S", "IRQS/S"}};
    for (const Period& vm : periods()) {
      if (!vm.now.statistics) continue;
      for (size_t slot = 0; slot < vm.now.statistics->devices.size(); ++slot) {
        const auto& device = vm.now.statistics->devices[slot];
        const auto interrupts =
            vm.per_second([slot](const Statistics& s) { return slot < s.devices.size() ? s.devices[slot].interrupts : 0; });
        for (size_t i = 0; i < device.queues.size(); ++i) {
          const auto count = [&](uint64_t Statistics::Queue::*what) {
            return [slot, i, what](const Statistics& s) {
              return slot < s.devices.size() && i < s.devices[slot].queues.size() ? s.devices[slot].queues[i].*what : 0;
            };
          };
          rows.push_back({name_of(vm), std::to_string(slot), shortened(device.name, 16), std::to_string(i),
                          vm.per_second(count(&Statistics::Queue::kicks)), vm.per_second(count(&Statistics::Queue::chains)),
                          vm.bytes_per_second(count(&Statistics::Queue::bytes_from_guest)),
                          vm.bytes_per_second(count(&Statistics::Queue::bytes_to_guest)), i == 0 ? interrupts : ""});
        }
      }
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string vsock() const {
    Rows rows = {{"NAME", "CID", "OPEN", "OPENED", "REFUSED", "FROM GUEST", "TO GUEST", "FROM GUEST/S", "TO GUEST/S"}};
    for (const Period& vm : periods()) {
      const auto count = [](uint64_t Statistics::Vsock::*what) { return [what](const Statistics& s) { return s.vsock.*what; }; };
      const auto from = count(&Statistics::Vsock::bytes_from_guest);
      const auto to = count(&Statistics::Vsock::bytes_to_guest);
      rows.push_back({name_of(vm), std::to_string(vm.now.info.cid), vm.total(count(&Statistics::Vsock::connections)),
                      vm.total(count(&Statistics::Vsock::opened)), vm.total(count(&Statistics::Vsock::refused)), vm.bytes(from),
                      vm.bytes(to), vm.bytes_per_second(from), vm.bytes_per_second(to)});
    }
    return format_table(rows);
  }

  [[nodiscard]] std::string rpc() const {
    Rows rows = {{"ABOUT", "CALL", "CALLS", "CALLS/S", "FAILED", "P50", "P99", "MEAN"}};
    for (const auto& calls : now_.service.calls) {
      const auto found = std::ranges::find_if(before_.service.calls, [&](const auto& earlier) {
        return earlier.vm == calls.vm && earlier.interface == calls.interface && earlier.method == calls.method;
      });
      const uint64_t count = calls.count();
      const uint64_t before = found == before_.service.calls.end() ? 0 : found->count();
      const bool counted = elapsed_.count() > 0 && !before_.service.version.empty();
      const double rate = static_cast<double>(count - std::min(count, before)) * 1000 / static_cast<double>(elapsed_.count());
      const auto latency = [&](double share) {
        const auto time = now_.service.latency(calls, share);
        return time ? time_of(*time) : "-";
      };
      const std::string interface = calls.interface.substr(calls.interface.rfind('.') + 1);
      rows.push_back({calls.vm.empty() ? "the service" : shortened(calls.vm, name_),
                      shortened(fmt::format("{}.{}", interface, calls.method), 40), compact(static_cast<double>(count)),
                      counted ? compact(rate) : "-", compact(static_cast<double>(calls.failures)), latency(0.5), latency(0.99),
                      count == 0 ? "-" : time_of(calls.time / static_cast<int64_t>(count))});
    }
    return format_table(rows);
  }

  static std::string time_of(std::chrono::nanoseconds time) {
    const auto value = static_cast<double>(time.count());
    if (value < 999.5e3) return fmt::format("{:.0f}us", value / 1e3);
    if (value < 9.95e6) return fmt::format("{:.1f}ms", value / 1e6);
    if (value < 999.5e6) return fmt::format("{:.0f}ms", value / 1e6);
    return fmt::format("{:.1f}s", value / 1e9);
  }

  const Look& before_;
  const Look& now_;
  const std::chrono::milliseconds elapsed_;
  const bool wide_;
  const size_t name_;  // characters of a VM's name
};

}  // namespace

std::string format_top(const Look& before, const Look& now, std::chrono::milliseconds elapsed, const TopScreen& screen) {
  const Tables tables(before, now, elapsed, screen.columns);
  if (!screen.all) return tables.head() + "\n" + tables.of(screen.view);
  std::string text = tables.head();
  for (const auto& [name, view] : kTopViews) text += "\n" + tables.of(view);
  return text + "\n" + tables.threads();
}

}  // namespace adyton::cli
