#include "vmm/controlled_vm.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/log/logger.h"
#include "hypervisor/soft/soft_vm.h"
#include "vmm/byte_source.h"
#include "vmm/console_port.h"
#include "vmm/gdb/server.h"
#include "vmm/inspect/crash_area.h"
#include "vmm/inspect/dumper.h"
#include "vmm/inspect/vcpu_state.h"
#include "vmm/isolation.h"
#include "vmm/machine.h"
#include "vmm/tracer.h"
#include "vmm/vcpu_trace.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/block.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/mmio_transport.h"
#include "vmm/virtio/rng.h"
#include "vmm/vsock/device.h"

namespace adyton::vmm {
namespace {

const log::Logger kLog("vmm");

// Any number from 3 will do: each VM has a muxer of its own, so that two guests never share a vsock.
constexpr uint64_t kGuestCid = 3;

// For vCPUs to stand still. One that waits for a device may take longer.
constexpr std::chrono::milliseconds kStandstill{2'000};

control::EndReason end_reason(Machine::EndReason reason) {
  switch (reason) {
    case Machine::EndReason::kShutdown: return control::EndReason::kShutdown;
    case Machine::EndReason::kReset: return control::EndReason::kReset;
    case Machine::EndReason::kCrash: return control::EndReason::kCrashed;
    case Machine::EndReason::kStopped: return control::EndReason::kStopped;
    case Machine::EndReason::kWatchdog: return control::EndReason::kWatchdog;
    case Machine::EndReason::kInternalError: break;
  }
  return control::EndReason::kInternalError;
}

vsock::PacketType packet_type(control::VsockType type) {
  return type == control::VsockType::kSeqpacket ? vsock::PacketType::kSeqpacket : vsock::PacketType::kStream;
}
control::VsockType control_type(vsock::PacketType type) {
  return type == vsock::PacketType::kSeqpacket ? control::VsockType::kSeqpacket : control::VsockType::kStream;
}

// An optional descriptor of the packet as boot input.
Result<std::optional<FileSource>> source(std::optional<size_t> index, const std::vector<UniqueFd>& fds, const char* what) {
  if (!index) return std::nullopt;
  auto file = FileSource::open(fds[*index].get());
  if (!file) return fail(file.error().code, std::string("cannot read the ") + what + ": " + file.error().message);
  return std::optional(std::move(*file));
}

// The same descriptor may be named twice (a console in both directions), so each use takes a copy.
Result<UniqueFd> copy_of(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno("cannot copy a descriptor");
  return copy;
}

// What files of the VM can be limited to: as a disk never grows, to the size of the largest one that may be written to. None when
// the console's output is a file, which grows, or a disk is a block device.
std::optional<uint64_t> largest_file(const control::Configure& c, const std::vector<UniqueFd>& fds) {
  struct stat status {};
  if (::fstat(fds[c.console_output].get(), &status) != 0 || S_ISREG(status.st_mode)) return std::nullopt;
  uint64_t largest = 1 << 20;  // last words on stderr, which may be a file
  for (const control::Disk& disk : c.disks) {
    if (disk.read_only) continue;
    if (::fstat(fds[disk.fd].get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    largest = std::max(largest, static_cast<uint64_t>(status.st_size));
  }
  return largest;
}

class MachineVm final : public control::ControlledVm {
 public:
  MachineVm(control::VmObserver& observer, MachineFactory::BeforeGuest before_guest)
      : observer_(observer), before_guest_(std::move(before_guest)) {}
  ~MachineVm() override {
    if (machine_ && debugger_) {
      machine_->end_now();  // a debugger hears of it
      debugger_->stop();
    }
    if (dumper_) dumper_->stop();
    if (console_) console_->stop();  // it feeds the machine's UART
  }

  Result<void> assemble(const control::Configure& c, const std::vector<UniqueFd>& fds) {
    auto output = TRY(copy_of(fds[c.console_output]));
    auto input = c.console_input ? TRY(copy_of(fds[*c.console_input])) : UniqueFd();
    console_ = TRY(ConsolePort::create(std::move(output), c.virtio_console ? UniqueFd() : std::move(input)));
    auto vm = TRY(hypervisor::soft::create_soft_vm());
    kLog.info({{"backend", "soft"},
               {"host",
                fmt::format("{}", fmt::join(hypervisor::soft::soft_host_features().value_or(std::vector<std::string>()), ","))}},
              "the software engine runs the guest: it is the only back end of this program");
    machine_ = TRY(Machine::create({.cpus = c.cpus,
                                    .memory_size = c.memory,
                                    .firmware_memory = c.firmware.has_value(),
                                    .watchdog_seconds = c.watchdog_seconds,
                                    .console = console_->callbacks()},
                                   std::move(vm)));
    for (const control::Disk& disk : c.disks) {
      auto file = TRY(copy_of(fds[disk.fd]));
      auto device = TRY(virtio::BlockDevice::create(std::move(file), {.read_only = disk.read_only, .serial = disk.serial}));
      TRY(add(std::move(device)));
    }
    TRY(add(std::make_unique<virtio::RngDevice>()));
    auto balloon = std::make_unique<virtio::BalloonDevice>(c.memory);
    balloon_ = balloon.get();
    TRY(add(std::move(balloon)));
    if (c.virtio_console) {
      std::vector<virtio::ConsoleDevice::Port> ports(1);
      ports[0] = {
          .name = "", .console = true, .input = std::move(input), .output = TRY(copy_of(fds[c.console_output])), .sink = {}};
      auto device = TRY(virtio::ConsoleDevice::create(std::move(ports), virtio::ConsoleDevice::Size()));
      TRY(add(std::move(device)));
    }
    auto vsock = std::make_unique<vsock::VsockDevice>(kGuestCid);
    vsock_ = vsock.get();
    TRY(add(std::move(vsock)));
    trace_threads();
    for (const uint32_t port : c.listen_ports) TRY(listen(port, control::VsockType::kStream));
    for (const uint32_t port : c.listen_seqpacket_ports) TRY(listen(port, control::VsockType::kSeqpacket));
    if (c.ask_about_ports) {
      vsock_->muxer().set_asker([this](const vsock::Muxer::Question& question) {
        observer_.asked({.question = question.id, .port = question.port, .type = control_type(question.type)});
      });
    }
    debugger_ = TRY(gdb::Server::create(*machine_));
    dumper_ = TRY(inspect::Dumper::create(*machine_));
    largest_file_ = largest_file(c, fds);
    return load(c, fds);
  }

  Result<void> start() override {
    for (virtio::MmioTransport* transport : transports_) TRY(transport->start());
    TRY(debugger_->start());
    TRY(dumper_->start());
    machine_->pause();  // no guest code yet
    TRY(machine_->start([this](const Machine::End& end) {
      kLog.debug({}, "the machine has ended: {}", to_string(end.reason));
      const bool orderly = end.reason == Machine::EndReason::kShutdown || end.reason == Machine::EndReason::kStopped;
      if (crash_area_ && !orderly) write_crash_area();
      observer_.ended(end_reason(end.reason), end.message);
    }));
    TRY(console_->start([this](std::span<const uint8_t> bytes) { return machine_->uart().receive(bytes); }));
    if (before_guest_) TRY(before_guest_(largest_file_));
    running_ = observe::TraceSource::now();
    kLog.debug({{"cpus", machine_->vcpus().size()}}, "the guest starts");
    machine_->resume();
    return {};
  }

  Result<UniqueFd> connect(uint32_t port, control::VsockType type) override {
    return vsock_->muxer().connect(port, packet_type(type));
  }
  void connect_hybrid(uint32_t port, UniqueFd socket) override { vsock_->muxer().connect_hybrid(port, std::move(socket)); }
  void answer(uint32_t question, UniqueFd socket) override { vsock_->muxer().answer(question, std::move(socket)); }

  Result<UniqueFd> capture(UniqueFd ring, const control::Capture& what) override {
    return vsock_->captures().add(ring.get(), {.ports = what.ports, .max_payload = what.max_payload});
  }

  Result<UniqueFd> trace(UniqueFd rings, const control::Trace& what) override {
    auto reader = TRY(tracer_->start(rings.get(), what.ring_count, what.categories));
    // Those that run guest code now begin a new run, so that the trace sees them from here on.
    for (hypervisor::Vcpu* vcpu : machine_->vcpus()) vcpu->kick();
    return reader;
  }
  void set_balloon(uint64_t bytes) override { balloon_->set_target(bytes); }

  [[nodiscard]] control::Statistics statistics() const override {
    control::Statistics all;
    for (const hypervisor::Statistic& s : machine_->vm().statistics()) {
      all.vm_names.emplace_back(s.name);
      all.vm.push_back(s.value);
    }
    for (const hypervisor::Vcpu* vcpu : machine_->vcpus()) {
      const auto counts = vcpu->statistics();
      if (all.vcpus.empty()) {
        for (const hypervisor::Statistic& s : counts) all.vcpu_names.emplace_back(s.name);
      }
      std::vector<uint64_t>& values = all.vcpus.emplace_back();
      for (const hypervisor::Statistic& s : counts) values.push_back(s.value);
    }
    for (const virtio::MmioTransport* transport : transports_) {
      const auto counts = transport->statistics();
      control::DeviceStatistics& device =
          all.devices.emplace_back(control::DeviceStatistics{std::string(transport->name()), counts.interrupts, {}});
      for (const auto& q : counts.queues) device.queues.push_back({q.kicks, q.chains, q.bytes_from_guest, q.bytes_to_guest});
    }
    const vsock::Muxer::Statistics traffic = vsock_->muxer().statistics();
    all.configuring = configuring_;
    all.running = running_;
    all.vsock = {.connections = traffic.connections,
                 .opened = traffic.opened,
                 .refused = traffic.refused,
                 .payload_from_guest = traffic.bytes_from_guest,
                 .payload_to_guest = traffic.bytes_to_guest};
    const virtio::BalloonDevice::Statistics balloon = balloon_->statistics();
    all.balloon = {.target = balloon.target,
                   .actual = balloon.actual,
                   .returned = balloon.returned,
                   .guest_free = balloon.guest.free,
                   .guest_available = balloon.guest.available,
                   .guest_total = balloon.guest.total,
                   .guest_caches = balloon.guest.caches};
    return all;
  }

  Result<void> attach_debugger(UniqueFd listener, bool hold) override {
    TRY(check_may_be("debugged", isolation()));
    TRY(debugger_->listen(std::move(listener)));
    if (hold) machine_->hold();
    return {};
  }

  Result<UniqueFd> dump() override {
    TRY(check_may_be("dumped", isolation()));
    return dumper_->dump();
  }
  Result<void> keep_crash_reports(UniqueFd memory) override {
    TRY(check_may_be("reported on", isolation()));
    crash_area_ = TRY(inspect::CrashArea::map(memory.get()));
    return {};
  }
  Result<void> inspect() override {
    if (!crash_area_) return fail(ErrorCode::kInvalidArgument, "there is no place for a crash report");
    write_crash_area();
    return {};
  }

  Result<void> listen(uint32_t port, control::VsockType type) override {
    if (listeners_ >= control::kMaxListenPorts)
      return fail(ErrorCode::kExhausted, "the VM listens on as many vsock ports as it may");
    TRY(vsock_->muxer().listen(port, packet_type(type), [this, port, type](UniqueFd socket) {
      observer_.accepted({.port = port, .type = type}, std::move(socket));
    }));
    ++listeners_;
    return {};
  }

  Result<void> suspend() override {
    machine_->pause();
    return {};
  }
  Result<void> resume() override {
    machine_->resume();
    return {};
  }

 private:
  [[nodiscard]] hypervisor::IsolationLevel isolation() const { return machine_->vm().capabilities().isolation; }

  void write_crash_area() {
    const std::lock_guard lock(crash_mutex_);
    const std::vector<bool> stands = machine_->freeze(kStandstill);
    crash_area_->write(inspect::describe_guest(machine_->vcpus(), stands, machine_->memory(), crash_area_->capacity()));
    machine_->thaw();
  }

  void trace_threads() {
    tracer_.emplace(transports_.back()->loop(), isolation());
    for (hypervisor::Vcpu* vcpu : machine_->vcpus()) {
      vcpu_traces_.push_back(std::make_unique<VcpuTrace>());
      vcpu->observe(*vcpu_traces_.back());
      tracer_->add_vcpu(*vcpu_traces_.back());
    }
    for (virtio::MmioTransport* transport : transports_) tracer_->add_device(transport->trace());
    machine_->vm().observe_irqchip(irqchip_trace_);
    tracer_->add_irqchip(irqchip_trace_);
  }

  Result<void> add(std::unique_ptr<virtio::Device> device) {
    const unsigned slot = TRY(machine_->add_virtio_slot());
    auto transport = TRY(virtio::MmioTransport::create(machine_->memory(), machine_->irq(slot), std::move(device)));
    for (size_t queue = 0; queue < transport->queue_count(); ++queue) {
      TRY(machine_->add_doorbell(slot, virtio::MmioTransport::kQueueNotifyOffset, static_cast<uint32_t>(queue),
                                 transport->doorbell_fd(queue)));
    }
    transports_.push_back(transport.get());
    return machine_->attach(slot, std::move(transport));
  }

  Result<void> load(const control::Configure& c, const std::vector<UniqueFd>& fds) {
    const bool firmware = c.firmware.has_value();
    const auto kernel = TRY(source(firmware ? c.firmware : c.kernel, fds, firmware ? "firmware" : "kernel"));
    const auto initrd = TRY(source(c.initrd, fds, "initrd"));
    return machine_->load({.mode = firmware ? BootConfig::Mode::kFirmware : BootConfig::Mode::kKernel,
                           .kernel = kernel ? &*kernel : nullptr,
                           .initrd = initrd ? &*initrd : nullptr,
                           .command_line = c.command_line,
                           .instance_id = c.instance_id});
  }

  control::VmObserver& observer_;
  const uint64_t configuring_ = observe::TraceSource::now();
  uint64_t running_ = 0;
  const MachineFactory::BeforeGuest before_guest_;
  std::optional<uint64_t> largest_file_;
  std::unique_ptr<ConsolePort> console_;                 // outlives the machine, which calls it
  std::vector<std::unique_ptr<VcpuTrace>> vcpu_traces_;  // outlive the vCPUs' threads
  IrqchipTrace irqchip_trace_;                           // as these
  std::unique_ptr<Machine> machine_;                     // owns what the pointers below point to
  std::unique_ptr<gdb::Server> debugger_;
  std::unique_ptr<inspect::Dumper> dumper_;
  std::mutex crash_mutex_;
  std::optional<inspect::CrashArea> crash_area_;  // fixed before the guest runs; its contents under crash_mutex_
  std::vector<virtio::MmioTransport*> transports_;
  vsock::VsockDevice* vsock_ = nullptr;
  size_t listeners_ = 0;
  std::optional<Tracer> tracer_;  // ends before the threads that it hears of
  virtio::BalloonDevice* balloon_ = nullptr;
};

}  // namespace

control::Description MachineFactory::describe() {
  control::Description description{.backend = "soft", .isolation = std::string(to_string(hypervisor::IsolationLevel::kNone))};
  description.sandbox = sandbox_;
  auto features = hypervisor::soft::soft_host_features();
  if (features) {
    description.host_features = std::move(*features);
  } else {
    description.problem = features.error().message;
  }
  return description;
}

Result<std::unique_ptr<control::ControlledVm>> MachineFactory::create(const control::Configure& configuration,
                                                                      std::vector<UniqueFd> fds, control::VmObserver& observer) {
  auto vm = std::make_unique<MachineVm>(observer, before_guest_);
  TRY(vm->assemble(configuration, fds));
  return vm;
}

}  // namespace adyton::vmm
