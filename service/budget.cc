#include "service/budget.h"

#include <fmt/format.h>

#include <string_view>

namespace adyton::service {
namespace {

std::unexpected<Error> over(std::string_view what, std::string_view key) {
  return fail(ErrorCode::kExhausted,
              fmt::format("{}; the limit is set by {} in adyton/adytond.toml, or by adytond's option --{}", what, key, [&] {
                std::string option(key);
                for (char& c : option) {
                  if (c == '_') c = '-';
                }
                return option;
              }()));
}

std::string mebibytes(uint64_t bytes) { return fmt::format("{} MiB", bytes >> 20); }

// Without overflow, whatever a client asks for.
bool exceeds(uint64_t used, uint64_t more, uint64_t limit) { return more > limit || used > limit - more; }

}  // namespace

Result<Budget::Share> Budget::take(uint64_t client, const Demand& demand) {
  std::lock_guard lock(mutex_);
  if (usage_.vms >= limits_.vms) return over(fmt::format("there are {} VMs, and no more are allowed", usage_.vms), "max_vms");
  const auto known = clients_.find(client);
  const Usage mine = known == clients_.end() ? Usage() : known->second;
  if (mine.vms >= limits_.vms_per_client) {
    return over(fmt::format("this program has {} VMs, and no more are allowed", mine.vms), "max_vms_per_client");
  }
  if (exceeds(usage_.cpus, demand.cpus, limits_.cpus)) {
    return over(fmt::format("the VM's {} CPUs with the {} of other VMs are more than {}", demand.cpus, usage_.cpus, limits_.cpus),
                "max_cpus");
  }
  if (exceeds(usage_.memory, demand.memory, limits_.memory)) {
    return over(fmt::format("the VM's {} of memory with the {} of other VMs are more than {}", mebibytes(demand.memory),
                            mebibytes(usage_.memory), mebibytes(limits_.memory)),
                "max_memory");
  }
  if (exceeds(mine.cpus, demand.cpus, limits_.cpus_per_client)) {
    return over(fmt::format("the VM's {} CPUs with the {} of this program's other VMs are more than {}", demand.cpus, mine.cpus,
                            limits_.cpus_per_client),
                "max_cpus_per_client");
  }
  if (exceeds(mine.memory, demand.memory, limits_.memory_per_client)) {
    return over(fmt::format("the VM's {} of memory with the {} of this program's other VMs are more than {}",
                            mebibytes(demand.memory), mebibytes(mine.memory), mebibytes(limits_.memory_per_client)),
                "max_memory_per_client");
  }
  // The only step that can fail comes before the numbers change.
  Usage& theirs = clients_[client];
  for (Usage* usage : {&usage_, &theirs}) {
    ++usage->vms;
    usage->cpus += demand.cpus;
    usage->memory += demand.memory;
  }
  return Share(shared_from_this(), client, demand);
}

Usage Budget::usage() const {
  std::lock_guard lock(mutex_);
  return usage_;
}

void Budget::give_back(uint64_t client, const Demand& demand) {
  std::lock_guard lock(mutex_);
  const auto theirs = clients_.find(client);
  for (Usage* usage : {&usage_, &theirs->second}) {
    --usage->vms;
    usage->cpus -= demand.cpus;
    usage->memory -= demand.memory;
  }
  if (theirs->second.vms == 0) clients_.erase(theirs);
}

void Budget::Share::reset() {
  if (const auto budget = std::exchange(budget_, nullptr)) budget->give_back(client_, demand_);
}

}  // namespace adyton::service
