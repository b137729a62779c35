// One life of a virtual machine, from createVm() to its death, as its client sees it: takes the service's callbacks, keeps how it
// ended, and passes events on in their order.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "adyton/virtual_machine.h"
#include "adyton/virtualizationservice/IVirtualMachine.h"
#include "adyton/virtualizationservice/IVirtualMachineCallback.h"
#include "base/result.h"

namespace adyton::sdk {

struct PayloadStarted {};
struct PayloadReady {};
struct PayloadFinished {
  int exit_code = 0;
};
struct VmError {
  VmErrorCode code = VmErrorCode::kUnknown;
  std::string message;
};
using VmEvent = std::variant<PayloadStarted, PayloadReady, PayloadFinished, VmError, StopInfo>;

// Threading: any thread. Events come on the session's threads, with no lock held; `sink` does not wait.
class VmRun : public std::enable_shared_from_this<VmRun> {
 public:
  using Sink = std::function<void(VmEvent)>;

  // Registers for callbacks. Events are held back until announce().
  static Result<std::shared_ptr<VmRun>> watch(std::shared_ptr<virtualizationservice::IVirtualMachine> vm, bool owned, Sink sink);
  VmRun(std::shared_ptr<virtualizationservice::IVirtualMachine> vm, bool owned, Sink sink)
      : vm_(std::move(vm)), owned_(owned), sink_(std::move(sink)) {}
  ~VmRun();

  [[nodiscard]] virtualizationservice::IVirtualMachine& vm() { return *vm_; }
  // This program made it, and it is not detached.
  [[nodiscard]] bool owned() const { return owned_; }

  void announce();
  void handle(VmEvent event);

  [[nodiscard]] std::optional<StopInfo> stop_info() const;
  [[nodiscard]] std::optional<int> exit_code() const;
  // Waits until the payload has said that it is ready, or is over; kUnknown after `timeout` without either.
  enum class Readiness { kUnknown, kReady, kOver };
  Readiness wait_until_ready(std::optional<std::chrono::milliseconds> timeout) const;
  std::optional<StopInfo> wait(std::optional<std::chrono::milliseconds> timeout) const;

 private:
  template <typename Condition>
  void await(std::unique_lock<std::mutex>& lock, std::optional<std::chrono::milliseconds> timeout, const Condition& holds) const;

  const std::shared_ptr<virtualizationservice::IVirtualMachine> vm_;
  const bool owned_;
  const Sink sink_;
  std::shared_ptr<virtualizationservice::IVirtualMachineCallback> listener_;
  uint64_t death_cookie_ = 0;
  bool linked_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool announced_ = false;
  std::vector<VmEvent> held_back_;
  bool ready_ = false;
  std::optional<int> exit_code_;
  std::optional<StopInfo> stop_info_;
};

}  // namespace adyton::sdk
