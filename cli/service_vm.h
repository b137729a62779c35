// A VM of the service, run by this program for its session: it is seen by others, and ends with us.
#pragma once
#include <memory>

#include "adyton/virtual_machine.h"
#include "base/unique_fd.h"
#include "cli/vm_handle.h"

namespace adyton::cli {

class ServiceVm final : public VmHandle {
 public:
  // `options` are those of VirtualMachine::run(); the streams are those of a payload with or without a terminal, or none.
  enum class Streams : uint8_t { kNone, kPipes, kTerminal };
  static Result<std::unique_ptr<ServiceVm>> make(std::shared_ptr<VirtualMachine> vm, Streams streams,
                                                 VirtualMachine::RunOptions options, bool timeline = false);
  ~ServiceVm() override;

  Result<void> start() override;
  void watch(std::vector<pollfd>& polls) const override;
  std::vector<VmEvent> step(std::span<const pollfd> polls) override;
  Result<void> signal(int number) override { return vm_->signalPayload(number); }
  Result<void> resize(const TerminalSize& size) override;
  void release(bool power_off) override;
  // Its payload has been started, or, of one without payload, its CPUs.
  [[nodiscard]] bool has_run() const;

 private:
  // Where the library's threads leave what happens.
  class Queue;
  class Callback;

  ServiceVm(std::shared_ptr<VirtualMachine> vm, VirtualMachine::RunOptions options, std::shared_ptr<Queue> queue)
      : vm_(std::move(vm)), options_(std::move(options)), queue_(std::move(queue)) {}
  Result<void> listen(Streams streams);

  const std::shared_ptr<VirtualMachine> vm_;
  VirtualMachine::RunOptions options_;
  bool started_ = false;  // by us
  const std::shared_ptr<Queue> queue_;
};

}  // namespace adyton::cli
