#include "service/metrics/collector.h"

#include <fmt/format.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "service/metrics/exposition.h"
#include "service/metrics/host_pressure.h"

namespace adyton::service {
namespace {

using Type = Exposition::Type;

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

// What the backends' counts are called in metrics, and mean.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kBackendCounts = {{
    {"adyton_vcpu_exits_total", "Times that a vCPU left guest code, by what took it out."},
    {"adyton_vcpu_interrupts_total", "Interrupts that a vCPU has taken."},
    {"adyton_vcpu_table_walks_total", "Walks of the guest's translation tables: misses of both levels of a vCPU's software TLB."},
    {"adyton_vcpu_tlb_refills_total", "Misses of the first level of a vCPU's software TLB that its second level answered."},
    {"adyton_vcpu_translated_blocks_total", "Blocks of guest code that a vCPU has translated."},
    {"adyton_vcpu_translated_instructions_total", "Guest instructions in the blocks that a vCPU has translated."},
    {"adyton_vm_code_bytes", "Translated code that a VM's code cache holds now."},
    {"adyton_vm_code_capacity_bytes", "Translated code that a VM's code cache has room for."},
    {"adyton_vm_code_flushes_total", "Times that a VM's code cache was full, and all of its translated code was dropped."},
}};

std::string help_of(std::string_view family, std::string_view count) {
  const auto known = std::ranges::find(kBackendCounts, family, &std::pair<std::string_view, std::string_view>::first);
  if (known != kBackendCounts.end()) return std::string(known->second);
  return fmt::format("What the VM's backend counts as '{}'; this version of the service knows no more of it.", count);
}

// A count of the backend: "exits.mmio" is member "mmio" of "exits"; what ends in "_bytes" may fall.
void write_count(std::string_view prefix, const std::string& name, uint64_t value, Labels labels, Exposition& to) {
  const size_t dot = name.find('.');
  if (dot != std::string::npos) labels.emplace_back("reason", name.substr(dot + 1));
  const std::string family = name.substr(0, dot);
  const bool gauge = family.ends_with("_bytes");
  const std::string full = fmt::format("{}_{}{}", prefix, family, gauge ? "" : "_total");
  to.add(gauge ? Type::kGauge : Type::kCounter, full, help_of(full, family), labels, static_cast<double>(value));
}

void write_device(const vmm::control::DeviceStatistics& device, Labels labels, Exposition& to) {
  to.add(Type::kCounter, "adyton_virtio_interrupts_total", "Interrupts that a virtio device raised.", labels,
         static_cast<double>(device.interrupts));
  for (size_t i = 0; i < device.queues.size(); ++i) {
    const auto& queue = device.queues[i];
    Labels of_queue = labels;
    of_queue.emplace_back("queue", std::to_string(i));
    to.add(Type::kCounter, "adyton_virtqueue_kicks_total", "Doorbells of the guest's driver that woke a virtqueue's device.",
           of_queue, static_cast<double>(queue.kicks));
    to.add(Type::kCounter, "adyton_virtqueue_chains_total",
           "Descriptor chains of a virtqueue that its device has given back to the driver.", of_queue,
           static_cast<double>(queue.chains));
    for (const auto& [direction, bytes] :
         {std::pair("from_guest", queue.bytes_from_guest), std::pair("to_guest", queue.bytes_to_guest)}) {
      Labels directed = of_queue;
      directed.emplace_back("direction", direction);
      to.add(Type::kCounter, "adyton_virtqueue_bytes_total",
             "Bytes that a device has read from (from_guest) or written to (to_guest) the descriptor chains of a virtqueue.",
             directed, static_cast<double>(bytes));
    }
  }
}

}  // namespace

uint64_t own_resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void write_calls(const std::string& vm, const std::vector<MethodCalls>& calls, Exposition& to) {
  std::vector<double> bounds;
  for (const auto bound : MethodCalls::kUpTo) bounds.push_back(std::chrono::duration<double>(bound).count());
  for (const MethodCalls& method : calls) {
    Labels labels;
    if (!vm.empty()) labels.emplace_back("vm", vm);
    labels.emplace_back("interface", method.interface);
    labels.emplace_back("method", method.method);
    to.add_histogram("adyton_rpc_latency_seconds",
                     "Time that calls took which the service served; those about a VM, of its clients and its guest, name it.",
                     labels, bounds, {method.counts.begin(), method.counts.end()},
                     std::chrono::duration<double>(method.time).count());
    to.add(Type::kCounter, "adyton_rpc_failures_total", "Calls that the service answered with an error.", labels,
           static_cast<double>(method.failures));
  }
}

void write_metrics(const VmSample& sample, Exposition& to) {
  const VmInfo& info = sample.info;
  write_calls(info.name, sample.calls, to);
  const Labels vm = {{"vm", info.name}};
  const auto gauge = [&](const char* name, const char* help, double value) { to.add(Type::kGauge, name, help, vm, value); };
  to.add(Type::kGauge, "adyton_vm_info", "1 for each live VM, with its isolation level in force, its backend and its state.",
         {{"vm", info.name},
          {"cid", std::to_string(info.cid)},
          {"backend", info.backend},
          {"isolation", std::string(to_string(info.isolation))},
          {"state", std::string(to_string(info.state))}},
         1);
  gauge("adyton_vm_vcpus", "Virtual CPUs that the guest has.", info.cpus);
  gauge("adyton_vm_memory_bytes", "Memory that the guest was given.", static_cast<double>(info.memory));
  gauge("adyton_vm_resident_bytes", "Memory of the host that the VM's process has in use, the guest's included.",
        static_cast<double>(info.resident));
  gauge("adyton_vm_uptime_seconds", "Time since the VM was started.", seconds(info.uptime));
  gauge("adyton_vm_up", "1 if the VM's process answered when it was asked for its counts, 0 if it did not.",
        sample.statistics ? 1 : 0);
  to.add(Type::kCounter, "adyton_vm_cpu_seconds_total", "Time that the VM's process has spent on CPUs.", vm,
         seconds(info.cpu_time));
  if (!sample.statistics) return;

  for (const ThreadUsage& thread : sample.statistics->threads) {
    to.add(Type::kCounter, "adyton_vm_thread_cpu_seconds_total",
           "Time that the threads of a name in the VM's process have spent on CPUs.",
           {{"vm", info.name}, {"thread", thread.name}}, seconds(thread.cpu_time));
  }
  const vmm::control::Statistics& counts = sample.statistics->counts;
  for (size_t i = 0; i < counts.vm_names.size(); ++i) write_count("adyton_vm", counts.vm_names[i], counts.vm[i], vm, to);
  for (size_t cpu = 0; cpu < counts.vcpus.size(); ++cpu) {
    const Labels labels = {{"vm", info.name}, {"vcpu", std::to_string(cpu)}};
    for (size_t i = 0; i < counts.vcpu_names.size(); ++i)
      write_count("adyton_vcpu", counts.vcpu_names[i], counts.vcpus[cpu][i], labels, to);
  }
  for (size_t slot = 0; slot < counts.devices.size(); ++slot) {
    const auto& device = counts.devices[slot];
    write_device(device, {{"vm", info.name}, {"device", device.name}, {"slot", std::to_string(slot)}}, to);
  }
  const auto& balloon = counts.balloon;
  gauge("adyton_vm_balloon_target_bytes", "Memory that the guest is asked to give up.", static_cast<double>(balloon.target));
  gauge("adyton_vm_balloon_bytes", "Memory that the guest has given up to its balloon.", static_cast<double>(balloon.actual));
  to.add(Type::kCounter, "adyton_vm_returned_bytes_total",
         "Memory of the guest that went back to the host since the start, free pages that the guest reported included.", vm,
         static_cast<double>(balloon.returned));
  for (const auto& [name, help, bytes] :
       {std::tuple("adyton_guest_memory_free_bytes", "Memory that the guest's kernel has no use for at all, as the guest says.",
                   balloon.guest_free),
        std::tuple("adyton_guest_memory_available_bytes",
                   "Memory that programs in the guest could get without swapping, as the guest says.", balloon.guest_available),
        std::tuple("adyton_guest_memory_total_bytes", "Memory that the guest's kernel manages, as the guest says.",
                   balloon.guest_total),
        std::tuple("adyton_guest_memory_caches_bytes", "Memory in which the guest caches files, as the guest says.",
                   balloon.guest_caches)}) {
    if (bytes) gauge(name, help, static_cast<double>(*bytes));
  }
  gauge("adyton_vsock_connections", "Vsock connections of the guest that are open now.",
        static_cast<double>(counts.vsock.connections));
  to.add(Type::kCounter, "adyton_vsock_opened_total", "Vsock connections that were opened since the VM's start, by either side.",
         vm, static_cast<double>(counts.vsock.opened));
  to.add(Type::kCounter, "adyton_vsock_refused_total",
         "Vsock connections that were refused since the VM's start, by either side.", vm,
         static_cast<double>(counts.vsock.refused));
  for (const auto& [direction, bytes] :
       {std::pair("from_guest", counts.vsock.payload_from_guest), std::pair("to_guest", counts.vsock.payload_to_guest)}) {
    to.add(Type::kCounter, "adyton_vsock_bytes_total",
           "Payload bytes that went over the guest's vsock connections, by direction.",
           {{"vm", info.name}, {"direction", direction}}, static_cast<double>(bytes));
  }
}

void Collector::ask_vms(std::function<void(std::vector<VmSample>)> deliver) const {
  struct Round {
    std::vector<VmSample> samples;
    size_t outstanding = 0;
    bool over = false;
    Timer timer;
  };
  auto round = std::make_shared<Round>();
  const auto finish = [round, deliver = std::move(deliver)] {
    if (std::exchange(round->over, true)) return;
    round->timer.reset();
    deliver(std::move(round->samples));
  };
  const auto vms = s_.vms.list();
  for (const auto& vm : vms) round->samples.push_back({.info = vm->info(), .statistics = {}, .calls = vm->call_metrics()->all()});
  round->outstanding = vms.size() + 1;  // one is us, who are not through yet
  round->timer = Timer(s_.loop, s_.patience, finish);
  const auto answered = [round, finish] {
    if (--round->outstanding == 0) finish();
  };
  for (size_t i = 0; i < vms.size(); ++i) {
    vms[i]->statistics([round, answered, i](Outcome<VmStatistics> statistics) {
      if (statistics && !round->over) round->samples[i].statistics = std::move(*statistics);
      answered();
    });
  }
  answered();
}

void Collector::collect(std::function<void(std::string)> deliver) const {
  ask_vms([this, deliver = std::move(deliver)](const std::vector<VmSample>& samples) { deliver(text(samples)); });
}

std::string Collector::text(const std::vector<VmSample>& samples) const {
  Exposition to;
  to.add(Type::kGauge, "adyton_build_info", "1, with the version of the service.", {{"version", s_.version}}, 1);
  to.add(Type::kGauge, "adyton_vms", "VMs of this user that are alive.", {}, static_cast<double>(samples.size()));
  to.add(Type::kGauge, "adyton_clients", "Sessions that clients have with the service.", {},
         static_cast<double>(s_.client_count()));
  to.add(Type::kGauge, "adyton_service_resident_bytes",
         "Memory of the host that the service's own process has in use, without its VMs.", {},
         static_cast<double>(own_resident_bytes()));
  for (const VmSample& sample : samples) write_metrics(sample, to);
  for (const Pressure& pressure : host_pressure()) {
    const Labels labels = {{"resource", pressure.resource}, {"kind", pressure.kind}};
    to.add(Type::kCounter, "adyton_host_pressure_stalled_seconds_total",
           "Time that tasks of the host had to wait for a resource (some: one of them, full: all of them).", labels,
           static_cast<double>(pressure.stalled.count()) / 1e6);
    to.add(Type::kGauge, "adyton_host_pressure_ratio",
           "Share of the last ten seconds in which tasks of the host had to wait for a resource (some: one of them, full: all of "
           "them).",
           labels, pressure.share_10s / 100);
  }
  write_calls({}, s_.calls->all(), to);
  return to.text();
}

}  // namespace adyton::service
