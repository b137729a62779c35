#include "cli/doctor.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "sdk/host.h"
#include "sdk/size.h"
#include "cli/version.h"
#include "cli/vm_process.h"
#include "guest/image/cache.h"
#include "guest/image/find_init.h"
#include "guest/image/payload.h"
#include "vmm/control/protocol.h"

namespace adyton::cli {
namespace {

namespace fs = std::filesystem;
using State = Finding::State;

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Finding machine_finding() {
  utsname name{};
  ::uname(&name);
  return {State::kGood, "Machine",
          fmt::format("{}, Linux {}, {} CPUs, {} of memory", name.machine, name.release, std::thread::hardware_concurrency(),
                      sdk::format_size(sdk::host_memory()))};
}

// Asks an adyton-vmm, which is the one that would have to do it.
Result<vmm::control::Description> ask_vmm() {
  namespace control = vmm::control;
  const std::string program = TRY(find_vmm());
  const std::string question = TRY(encode(control::Request{.id = 1, .body = control::Describe{}}));
  VmProcess vm = TRY(VmProcess::spawn(program, "doctor"));
  TRY(vm.control().send(question));
  const control::Packet packet = TRY(vm.control().receive());
  const control::Event event = TRY(control::decode_event(packet.text, packet.fds.size()));
  if (const auto* description = std::get_if<control::Description>(&event)) return *description;
  return fail(ErrorCode::kInternal, "adyton-vmm gave an answer to another question");
}

void add_engine(std::vector<Finding>& findings) {
  const auto description = ask_vmm();
  if (!description) {
    findings.push_back({State::kMissing, "Engine", description.error().message});
    return;
  }
  if (!description->problem.empty()) {
    findings.push_back({State::kMissing, "Engine", fmt::format("{}: {}", description->backend, description->problem)});
    return;
  }
  std::string features = fmt::format("{}", fmt::join(description->host_features, ", "));
  findings.push_back({State::kGood, "Engine",
                      fmt::format("{}, runs arm64 guests by translation{}{}", description->backend,
                                  features.empty() ? "" : "; host CPU: ", features)});
  findings.push_back(sandbox_finding(description->sandbox));
}

struct Need {
  const char* what;
  bool present;
  const char* package;
  const char* purpose;
};

void add_programs(std::vector<Finding>& findings) {
  std::error_code ignored;
  bool libraries = false;
  for (const std::string& folder : image::default_library_directories()) libraries |= fs::exists(folder + "/libc.so.6", ignored);
  const std::array<Need, 4> needs = {{
      {"apt-get", in_path("apt-get"), "apt", "fetches the guest's kernel"},
      {"Debian's archive keys", fs::exists("/usr/share/keyrings/debian-archive-keyring.gpg", ignored), "debian-archive-keyring",
       "the kernel's signature is checked with them"},
      {"mkfs.erofs", in_path("mkfs.erofs"), "erofs-utils", "--rootfs, --mount"},
      {"arm64 C library", libraries, "libc6-arm64-cross libgcc-s1-arm64-cross libstdc++6-arm64-cross",
       "dynamic payloads without --rootfs"},
  }};
  std::string present;
  std::string packages;
  for (const Need& need : needs) {
    if (need.present) {
      present += fmt::format("{}{}", present.empty() ? "" : ", ", need.what);
    } else {
      findings.push_back({State::kMissing, "Programs", fmt::format("{} is missing ({})", need.what, need.purpose)});
      packages += fmt::format(" {}", need.package);
    }
  }
  if (!present.empty()) findings.push_back({State::kGood, "Programs", present});
  if (!packages.empty()) {
    findings.push_back({State::kNote, "Install",
                        fmt::format("{}apt-get install --no-install-recommends{}", ::geteuid() == 0 ? "" : "sudo ", packages)});
  }
}

void add_files(std::vector<Finding>& findings) {
  const auto init = image::find_init();
  findings.push_back({init ? State::kGood : State::kMissing, "Guest", init ? "init at " + *init : init.error().message});
  const auto directory = image::Cache::default_directory();
  if (!directory) {
    findings.push_back({State::kMissing, "Cache", directory.error().message});
    return;
  }
  uint64_t bytes = 0;
  size_t files = 0;
  std::error_code error;
  for (auto entry = fs::directory_iterator(*directory, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    bytes += entry->file_size(ignored);
    ++files;
  }
  const bool empty = files == 0;
  findings.push_back(
      {empty ? State::kNote : State::kGood, "Cache",
       empty ? fmt::format("{} is empty: the first run fetches the guest's kernel", *directory)
             : fmt::format("{}: {} files, {}; it may be deleted at any time", *directory, files, sdk::format_size(bytes))});
}

void add_isolation(std::vector<Finding>& findings) {
  findings.push_back({State::kGood, "Isolation none", "available, and what every VM gets: the host may look in"});
  findings.push_back(
      {State::kNote, "Isolation process", "not available: this version runs the engine inside the VM's own process"});
  findings.push_back(
      {State::kNote, "Isolation hypervisor", "not available: it needs an arm64 host with pKVM, which this version does not use"});
}

}  // namespace

Finding sandbox_finding(const std::vector<vmm::control::SandboxMeasure>& sandbox) {
  std::string in_force;
  std::string missing;
  for (const auto& measure : sandbox) {
    std::string& list = measure.in_force ? in_force : missing;
    list += fmt::format("{}{}", list.empty() ? "" : ", ", measure.name);
    if (!measure.detail.empty()) list += fmt::format(" ({})", measure.detail);
  }
  if (in_force.empty()) return {State::kNote, "Sandbox", "the process of a VM is in none"};
  return {missing.empty() ? State::kGood : State::kNote, "Sandbox",
          fmt::format("each VM's process has {}{}{}", in_force, missing.empty() ? "" : "; not in force: ", missing)};
}

Finding kvm_finding(const hypervisor::KvmReport& kvm) {
  using Kvm = hypervisor::KvmReport::State;
  constexpr const char* kUnused = "; this version runs every guest on its own engine, so nothing is lost";
  switch (kvm.state) {
    case Kvm::kAbsent: return {State::kNote, "KVM", "not present: " + kvm.reason + kUnused};
    case Kvm::kNoPermission: return {State::kNote, "KVM", "present, not permitted: " + kvm.reason + kUnused};
    case Kvm::kBroken: return {State::kNote, "KVM", "present, does not work: " + kvm.reason + kUnused};
    case Kvm::kSlow: return {State::kNote, "KVM", "present, far too slow to use: " + kvm.reason + kUnused};
    case Kvm::kUsable: break;
  }
  return {State::kNote, "KVM",
          "present and fast (" + kvm.reason + "), but not used yet: this version runs every guest on its own engine"};
}

std::vector<Finding> examine_machine() {
  std::vector<Finding> findings;
  findings.push_back(machine_finding());
  add_engine(findings);
  findings.push_back(kvm_finding(hypervisor::probe_kvm()));
  add_programs(findings);
  add_files(findings);
  add_isolation(findings);
  return findings;
}

std::string format_report(const std::vector<Finding>& findings, const DoctorOptions& options) {
  constexpr std::array<const char*, 3> kNames = {"good", "note", "missing"};
  constexpr std::array<const char*, 3> kMarks = {"+", " ", "!"};
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& f : findings)
      list.push_back({{"state", kNames[static_cast<size_t>(f.state)]}, {"subject", f.subject}, {"text", f.text}});
    return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  std::string report = version_text().substr(0, version_text().find('\n')) + "\n";
  for (const Finding& f : findings)
    report += fmt::format("{} {:<21} {}\n", kMarks[static_cast<size_t>(f.state)], f.subject, f.text);
  const bool ready = std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.state == State::kMissing; });
  report += ready ? "Ready: adyton run PAYLOAD\n" : "Lines marked ! need attention.\n";
  return report;
}

std::string doctor(const DoctorOptions& options) { return format_report(examine_machine(), options); }

}  // namespace adyton::cli
