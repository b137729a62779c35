#include "cli/direct_recordable.h"

namespace adyton::cli {

Result<VirtualMachine::TraceSources> DirectRecordable::trace_sources() {
  const auto statistics = TRY(vm_.read_statistics());
  VirtualMachine::TraceSources sources{.vcpus = static_cast<uint32_t>(statistics.vcpus.size()), .devices = {}};
  for (const auto& device : statistics.devices) sources.devices.push_back(device.name);
  return sources;
}

Result<UniqueFd> DirectRecordable::trace(const UniqueFd& rings, uint32_t count, uint32_t categories) {
  return vm_.record(vmm::control::Trace{.rings = 0, .ring_count = count, .categories = categories}, rings.get());
}

Result<UniqueFd> DirectRecordable::capture(const UniqueFd& ring, const VirtualMachine::CaptureFilter& filter) {
  return vm_.record(vmm::control::Capture{.ring = 0, .ports = filter.ports, .max_payload = filter.maxPayload}, ring.get());
}

std::vector<trace::Phase> DirectRecordable::phases() {
  std::vector<trace::Phase> phases;
  for (const observe::BootPhase& phase : vm_.boot_phases()) phases.push_back({std::string(phase.name), phase.begin, phase.end});
  return phases;
}

}  // namespace adyton::cli
