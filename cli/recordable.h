// What captures and traces need of a virtual machine: one of the service, or one of our own (direct_vm.h).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adyton/virtual_machine.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "tools/trace/memory_watch.h"
#include "tools/trace/recorder.h"

namespace adyton::cli {

// Threading: one thread, but for memory(), which is called on that of a recorder.
class Recordable {
 public:
  virtual ~Recordable() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  struct Facts {
    pid_t pid = 0;
    std::string isolation;
  };
  virtual Result<Facts> facts() = 0;
  // As in VirtualMachine.
  virtual Result<VirtualMachine::TraceSources> trace_sources() = 0;
  virtual Result<UniqueFd> trace(const UniqueFd& rings, uint32_t count, uint32_t categories) = 0;
  virtual Result<UniqueFd> capture(const UniqueFd& ring, const VirtualMachine::CaptureFilter& filter) = 0;
  // Of the calls that the service serves; invalid where there is no service.
  virtual Result<UniqueFd> trace_calls(const UniqueFd& ring) = 0;
  // None: nobody can tell now.
  virtual std::optional<trace::GuestMemory> memory() = 0;
  virtual std::vector<trace::Phase> phases() = 0;
};

class ServiceRecordable final : public Recordable {
 public:
  explicit ServiceRecordable(std::shared_ptr<VirtualMachine> vm) : vm_(std::move(vm)) {}

  [[nodiscard]] std::string name() const override { return vm_->getName(); }
  Result<Facts> facts() override;
  Result<VirtualMachine::TraceSources> trace_sources() override { return vm_->getTraceSources(); }
  Result<UniqueFd> trace(const UniqueFd& rings, uint32_t count, uint32_t categories) override {
    return vm_->trace(rings, count, categories);
  }
  Result<UniqueFd> capture(const UniqueFd& ring, const VirtualMachine::CaptureFilter& filter) override {
    return vm_->captureVsock(ring, filter);
  }
  Result<UniqueFd> trace_calls(const UniqueFd& ring) override { return vm_->traceCalls(ring); }
  std::optional<trace::GuestMemory> memory() override;
  std::vector<trace::Phase> phases() override;

 private:
  const std::shared_ptr<VirtualMachine> vm_;
};

}  // namespace adyton::cli
