#include "cli/recordable.h"

namespace adyton::cli {

Result<Recordable::Facts> ServiceRecordable::facts() {
  const auto info = TRY(vm_->getInfo());
  return Facts{.pid = info.pid, .isolation = std::string(to_string(info.isolation))};
}

std::optional<trace::GuestMemory> ServiceRecordable::memory() {
  const auto statistics = vm_->getStatistics();
  if (!statistics) return std::nullopt;  // it is ending, or has better things to do
  const auto& balloon = statistics->balloon;
  return trace::GuestMemory{.balloon_target = balloon.target,
                            .balloon = balloon.actual,
                            .free = balloon.guest_free,
                            .available = balloon.guest_available};
}

std::vector<trace::Phase> ServiceRecordable::phases() {
  std::vector<trace::Phase> phases;
  // A service that is gone meanwhile is no reason to throw the trace away.
  if (const auto told = vm_->getBootPhases()) {
    for (const auto& phase : *told)
      phases.push_back({phase.name, static_cast<uint64_t>(phase.begin.count()), static_cast<uint64_t>(phase.end.count())});
  }
  return phases;
}

}  // namespace adyton::cli
