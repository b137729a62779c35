// A VM of our own (--no-service), for captures and traces that begin before it runs.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cli/direct_vm.h"
#include "cli/recordable.h"

namespace adyton::cli {

// The VM outlives it. What begins a recording: in DirectVmConfig::before_start. phases(): when the VM is not used any more.
class DirectRecordable final : public Recordable {
 public:
  DirectRecordable(DirectVm& vm, std::string name, Facts facts) : vm_(vm), name_(std::move(name)), facts_(std::move(facts)) {}

  [[nodiscard]] std::string name() const override { return name_; }
  Result<Facts> facts() override { return facts_; }
  Result<VirtualMachine::TraceSources> trace_sources() override;
  Result<UniqueFd> trace(const UniqueFd& rings, uint32_t count, uint32_t categories) override;
  Result<UniqueFd> capture(const UniqueFd& ring, const VirtualMachine::CaptureFilter& filter) override;
  Result<UniqueFd> trace_calls(const UniqueFd&) override { return UniqueFd(); }
  // Its process is asked by the session's thread only.
  std::optional<trace::GuestMemory> memory() override { return std::nullopt; }
  std::vector<trace::Phase> phases() override;

 private:
  DirectVm& vm_;
  const std::string name_;
  const Facts facts_;
};

}  // namespace adyton::cli
