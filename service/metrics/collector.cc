#include "service/metrics/collector.h"

#include <fmt/format.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>

#include "service/metrics/exposition.h"
#include "service/metrics/host_pressure.h"

namespace adyton::service {
namespace {

using Type = Exposition::Type;

double seconds(std::chrono::milliseconds time) { return static_cast<double>(time.count()) / 1000; }

// A count of the backend: "exits.mmio" is member "mmio" of "exits"; what ends in "_bytes" may fall.
void write_count(std::string_view prefix, const std::string& name, uint64_t value, Labels labels, Exposition& to) {
  const size_t dot = name.find('.');
  if (dot != std::string::npos) labels.emplace_back("reason", name.substr(dot + 1));
  const std::string family = name.substr(0, dot);
  const bool gauge = family.ends_with("_bytes");
  to.add(gauge ? Type::kGauge : Type::kCounter, fmt::format("{}_{}{}", prefix, family, gauge ? "" : "_total"),
         "A count of the VM's backend, as its process tells it.", labels, static_cast<double>(value));
}

void write_device(const vmm::control::DeviceStatistics& device, Labels labels, Exposition& to) {
  to.add(Type::kCounter, "adyton_virtio_interrupts_total", "Interrupts that a virtio device raised.", labels,
         static_cast<double>(device.interrupts));
  for (size_t i = 0; i < device.queues.size(); ++i) {
    const auto& queue = device.queues[i];
    Labels of_queue = labels;
    of_queue.emplace_back("queue", std::to_string(i));
    to.add(Type::kCounter, "adyton_virtqueue_kicks_total", "Doorbells that woke a device.", of_queue,
           static_cast<double>(queue.kicks));
    to.add(Type::kCounter, "adyton_virtqueue_chains_total", "Descriptor chains that a device has given back.", of_queue,
           static_cast<double>(queue.chains));
    for (const auto& [direction, bytes] :
         {std::pair("from_guest", queue.bytes_from_guest), std::pair("to_guest", queue.bytes_to_guest)}) {
      Labels directed = of_queue;
      directed.emplace_back("direction", direction);
      to.add(Type::kCounter, "adyton_virtqueue_bytes_total", "Bytes in these chains.", directed, static_cast<double>(bytes));
    }
  }
}

uint64_t own_resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void write_metrics(const VmSample& sample, Exposition& to) {
  const VmInfo& info = sample.info;
  const Labels vm = {{"vm", info.name}};
  const auto gauge = [&](const char* name, const char* help, double value) { to.add(Type::kGauge, name, help, vm, value); };
  to.add(Type::kGauge, "adyton_vm_info", "A live VM, its isolation level and its state.",
         {{"vm", info.name},
          {"cid", std::to_string(info.cid)},
          {"backend", info.backend},
          {"isolation", std::string(to_string(info.isolation))},
          {"state", std::string(to_string(info.state))}},
         1);
  gauge("adyton_vm_vcpus", "CPUs of the guest.", info.cpus);
  gauge("adyton_vm_memory_bytes", "Memory that the guest was given.", static_cast<double>(info.memory));
  gauge("adyton_vm_resident_bytes", "Memory that the VM's process uses.", static_cast<double>(info.resident));
  gauge("adyton_vm_uptime_seconds", "Time since the VM was started.", seconds(info.uptime));
  gauge("adyton_vm_up", "1 if the VM's process tells what it does.", sample.statistics ? 1 : 0);
  to.add(Type::kCounter, "adyton_vm_cpu_seconds_total", "Time that the VM's process has spent on CPUs.", vm,
         seconds(info.cpu_time));
  if (!sample.statistics) return;

  for (const ThreadUsage& thread : sample.statistics->threads) {
    to.add(Type::kCounter, "adyton_vm_thread_cpu_seconds_total", "The same, by thread.",
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
  gauge("adyton_vm_balloon_bytes", "Memory that it has given up for that.", static_cast<double>(balloon.actual));
  to.add(Type::kCounter, "adyton_vm_returned_bytes_total", "Memory that went back to the host, free pages that the guest reported included.", vm,
         static_cast<double>(balloon.returned));
  for (const auto& [name, help, bytes] :
       {std::tuple("adyton_guest_memory_free_bytes", "Memory that the guest does not use.", balloon.guest_free),
        std::tuple("adyton_guest_memory_available_bytes", "Memory that the guest's programs could have.", balloon.guest_available),
        std::tuple("adyton_guest_memory_total_bytes", "Memory that the guest's kernel manages.", balloon.guest_total),
        std::tuple("adyton_guest_memory_caches_bytes", "Memory that holds contents of the guest's files.", balloon.guest_caches)}) {
    if (bytes) gauge(name, help, static_cast<double>(*bytes));
  }
  gauge("adyton_vsock_connections", "Vsock connections that are open.", static_cast<double>(counts.vsock.connections));
  to.add(Type::kCounter, "adyton_vsock_opened_total", "Vsock connections that were opened.", vm,
         static_cast<double>(counts.vsock.opened));
  to.add(Type::kCounter, "adyton_vsock_refused_total", "Vsock connections that were refused.", vm,
         static_cast<double>(counts.vsock.refused));
  for (const auto& [direction, bytes] :
       {std::pair("from_guest", counts.vsock.payload_from_guest), std::pair("to_guest", counts.vsock.payload_to_guest)}) {
    to.add(Type::kCounter, "adyton_vsock_bytes_total", "Payload of vsock connections.",
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
  for (const auto& vm : vms) round->samples.push_back({.info = vm->info(), .statistics = {}});
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
  to.add(Type::kGauge, "adyton_build_info", "The service's version.", {{"version", s_.version}}, 1);
  to.add(Type::kGauge, "adyton_vms", "VMs that are alive.", {}, static_cast<double>(samples.size()));
  to.add(Type::kGauge, "adyton_clients", "Sessions of clients.", {}, static_cast<double>(s_.client_count()));
  to.add(Type::kGauge, "adyton_service_resident_bytes", "Memory that the service itself uses.", {},
         static_cast<double>(own_resident_bytes()));
  for (const VmSample& sample : samples) write_metrics(sample, to);
  for (const Pressure& pressure : host_pressure()) {
    const Labels labels = {{"resource", pressure.resource}, {"kind", pressure.kind}};
    to.add(Type::kCounter, "adyton_host_pressure_stalled_seconds_total",
           "Time that tasks of the host had to wait for a resource (some: one of them, full: all of them).", labels,
           static_cast<double>(pressure.stalled.count()) / 1e6);
    to.add(Type::kGauge, "adyton_host_pressure_ratio", "The same, as a share of the last ten seconds.", labels,
           pressure.share_10s / 100);
  }
  s_.calls->write(to);
  return to.text();
}

}  // namespace adyton::service
