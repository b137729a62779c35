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

}  // namespace

Result<Budget::Share> Budget::take(uint64_t client, const Demand& demand) {
  std::lock_guard lock(mutex_);
  if (usage_.vms >= limits_.vms) return over(fmt::format("there are {} VMs, and no more are allowed", usage_.vms), "max_vms");
  const auto mine = clients_.find(client);
  if (mine != clients_.end() && mine->second >= limits_.vms_per_client) {
    return over(fmt::format("this program has {} VMs, and no more are allowed", mine->second), "max_vms_per_client");
  }
  if (demand.cpus > limits_.cpus || usage_.cpus > limits_.cpus - demand.cpus) {
    return over(fmt::format("the VM's {} CPUs with the {} of other VMs are more than {}", demand.cpus, usage_.cpus, limits_.cpus),
                "max_cpus");
  }
  if (demand.memory > limits_.memory || usage_.memory > limits_.memory - demand.memory) {
    return over(fmt::format("the VM's {} of memory with the {} of other VMs are more than {}", mebibytes(demand.memory),
                            mebibytes(usage_.memory), mebibytes(limits_.memory)),
                "max_memory");
  }
  // The only step that can fail comes before the numbers change.
  ++clients_[client];
  ++usage_.vms;
  usage_.cpus += demand.cpus;
  usage_.memory += demand.memory;
  return Share(shared_from_this(), client, demand);
}

Usage Budget::usage() const {
  std::lock_guard lock(mutex_);
  return usage_;
}

void Budget::give_back(uint64_t client, const Demand& demand) {
  std::lock_guard lock(mutex_);
  --usage_.vms;
  usage_.cpus -= demand.cpus;
  usage_.memory -= demand.memory;
  const auto mine = clients_.find(client);
  if (--mine->second == 0) clients_.erase(mine);
}

void Budget::Share::reset() {
  if (const auto budget = std::exchange(budget_, nullptr)) budget->give_back(client_, demand_);
}

}  // namespace adyton::service
