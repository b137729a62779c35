#include "service/vm_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "observe/crash_report.h"
#include "service/report_store.h"
#include "service/runtime_directory.h"

namespace adyton::service {
namespace {

using namespace vmm::control;

constexpr uint64_t kPage = 64 * 1024;

std::unexpected<Failure> bad(std::string message) {
  return std::unexpected(Failure({ErrorCode::kInvalidArgument, std::move(message)}));
}

// What the VMM would refuse later, with words that fit the caller.
Outcome<> check(const VmSpec& spec) {
  const Configure& machine = spec.machine;
  if (!spec.name.empty()) TRY(check_name(spec.name));
  if (machine.kernel.has_value() == machine.firmware.has_value()) return bad("a VM boots either a kernel or a bootloader");
  if (machine.initrd && machine.firmware) return bad("an initrd needs a kernel");
  if (machine.cpus == 0 || machine.cpus > kMaxCpus)
    return bad(fmt::format("a VM has 1 to {} CPUs, not {}", kMaxCpus, machine.cpus));
  if (machine.memory == 0 || machine.memory > kMaxMemory || machine.memory % kPage != 0)
    return bad(
        fmt::format("a VM's memory is a multiple of 64 KiB, at most {} GiB; {} bytes are not", kMaxMemory >> 30, machine.memory));
  if (machine.command_line.size() > kMaxCommandLine)
    return bad(fmt::format("the kernel's command line is longer than {} bytes", kMaxCommandLine));
  if (machine.command_line.find('\0') != std::string::npos) return bad("the kernel's command line contains a zero byte");
  if (machine.watchdog_seconds > kMaxWatchdogSeconds)
    return bad(fmt::format("a VM's watchdog waits for 1 to {} seconds, or there is none", kMaxWatchdogSeconds));
  if (machine.disks.size() > kMaxDisks) return bad(fmt::format("a VM has at most {} disks", kMaxDisks));
  for (const Disk& disk : machine.disks) {
    if (disk.serial.size() > kMaxDiskSerial || disk.serial.find('\0') != std::string::npos)
      return bad(fmt::format("a disk's serial has at most {} bytes", kMaxDiskSerial));
  }
  if (!spec.vsock_path.empty() && (!spec.vsock_path.starts_with('/') || spec.vsock_path.size() > vmm::hybrid::kMaxPath))
    return bad(fmt::format("the path of a VM's vsock socket is absolute and at most {} bytes long", vmm::hybrid::kMaxPath));
  if (spec.persistent && spec.name.empty()) return bad("a persistent VM needs the name of its record");
  // What the guest's init cannot be told is better refused now.
  if (spec.payload) TRY(guest::encode(*spec.payload));
  return {};
}

}  // namespace

VmTable::VmTable(EventLoop& loop, std::string vmm_program, std::string cid_file, std::shared_ptr<Budget> budget,
                 std::shared_ptr<RecordStore> records)
    : loop_(loop),
      vmm_program_(std::move(vmm_program)),
      cids_(std::move(cid_file)),
      budget_(std::move(budget)),
      records_(std::move(records)) {}

VmTable::~VmTable() = default;

Outcome<std::shared_ptr<Vm>> VmTable::create(VmSpec spec) {
  if (ending_) return std::unexpected(Failure({ErrorCode::kUnavailable, "the service is ending"}));
  TRY(check(spec));
  if (!spec.name.empty() && find(spec.name)) return problem(Problem::kExists, fmt::format("a VM named '{}' is alive", spec.name));
  Vm::Holdings holdings;
  holdings.share = TRY(budget_->take(spec.requester.session, {.cpus = spec.machine.cpus, .memory = spec.machine.memory}));
  if (spec.persistent) {
    auto used = TRY(records_->use(spec.name));
    holdings.lease = std::move(used.first);
    spec.instance_id = used.second.instance_id;
    spec.crash_folder = ReportStore::folder_of_record(used.second.directory);
    spec.crash_reports = observe::kReportsOfARecord;
  } else {
    if (spec.instance_id == InstanceId{}) spec.instance_id = TRY(new_instance_id());
    spec.crash_folder = ReportStore(records_->directory()).folder();
    spec.crash_reports = observe::kReportsOfTemporaryVms;
  }
  const uint32_t cid = TRY(cids_.allocate());
  spec.vsock_required = !spec.vsock_path.empty();
  if (!spec.vsock_required && !vsock_directory_.empty()) spec.vsock_path = vm_socket_path(vsock_directory_, cid);
  auto vm = std::make_shared<Vm>(loop_, vmm_program_, cid, std::move(spec), std::move(holdings));
  vm->on_death([this, cid] { gone(cid); });
  vms_.emplace(cid, vm);
  return vm;
}

void VmTable::gone(uint32_t cid) {
  vms_.erase(cid);
  cids_.release(cid);
  if (!vms_.empty()) return;
  const auto waiters = std::exchange(end_waiters_, {});
  for (const auto& waiter : waiters) waiter();
  if (on_empty_) on_empty_();
}

std::shared_ptr<Vm> VmTable::find(const std::string& name) const {
  const auto found = std::find_if(vms_.begin(), vms_.end(), [&](const auto& entry) { return entry.second->name() == name; });
  return found == vms_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Vm>> VmTable::list() const {
  std::vector<std::shared_ptr<Vm>> list;
  for (const auto& [cid, vm] : vms_) list.push_back(vm);
  return list;
}

void VmTable::kill_all(std::function<void()> done) {
  ending_ = true;
  if (vms_.empty()) return done();
  end_waiters_.push_back(std::move(done));
  const auto vms = list();
  for (const auto& vm : vms) vm->kill({DeathReason::kKilled, "the service has ended"}, [](const Outcome<>&) {});
}

}  // namespace adyton::service
