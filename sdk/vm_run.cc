#include "sdk/vm_run.h"

#include "sdk/conversion.h"

namespace adyton::sdk {
namespace {

// What the service calls. It keeps this alive, and this does not keep the run alive.
class Listener final : public aidl::IVirtualMachineCallbackStub {
 public:
  explicit Listener(std::weak_ptr<VmRun> run) : run_(std::move(run)) {}

  rpc::Reply<> onPayloadStarted(int32_t) override { return pass(PayloadStarted{}); }
  rpc::Reply<> onPayloadReady(int32_t) override { return pass(PayloadReady{}); }
  rpc::Reply<> onPayloadFinished(int32_t, int32_t exit_code) override { return pass(PayloadFinished{.exit_code = exit_code}); }
  rpc::Reply<> onError(int32_t, virtualizationcommon::ErrorCode code, const std::string& message) override {
    return pass(VmError{.code = static_cast<VmErrorCode>(code), .message = message});
  }
  rpc::Reply<> onDied(int32_t, virtualizationcommon::DeathReason reason, const std::string& message) override {
    return pass(StopInfo{.reason = static_cast<StopReason>(reason), .message = message});
  }

 private:
  rpc::Reply<> pass(VmEvent event) {
    if (const auto run = run_.lock()) run->handle(std::move(event));
    return {};
  }

  const std::weak_ptr<VmRun> run_;
};

}  // namespace

Result<std::shared_ptr<VmRun>> VmRun::watch(std::shared_ptr<aidl::IVirtualMachine> vm, bool owned, Sink sink) {
  auto run = std::make_shared<VmRun>(std::move(vm), owned, std::move(sink));
  const auto cookie = run->vm_->as_binder()->link_to_death([weak = std::weak_ptr(run)] {
    if (const auto alive = weak.lock()) {
      alive->handle(
          StopInfo{.reason = StopReason::kVirtualizationServiceDied, .message = "the virtualization service has ended"});
    }
  });
  // An object of this process does not die before its users.
  if (cookie) {
    run->death_cookie_ = *cookie;
    run->linked_ = true;
  } else if (cookie.error().transport_error() != rpc::TransportError::kInvalidOperation) {
    return std::unexpected(to_error(cookie.error()));
  }
  run->listener_ = std::make_shared<Listener>(run);
  TRY(checked(run->vm_->registerCallback(run->listener_)));
  return run;
}

VmRun::~VmRun() {
  // A dead VM has no callbacks.
  if (listener_ && !stop_info_) (void)vm_->unregisterCallback(listener_);
  if (linked_) (void)vm_->as_binder()->unlink_to_death(death_cookie_);
}

void VmRun::announce() {
  // Events that come meanwhile wait behind those that are held back.
  std::unique_lock lock(mutex_);
  while (!held_back_.empty()) {
    auto events = std::exchange(held_back_, {});
    lock.unlock();
    for (VmEvent& event : events) sink_(std::move(event));
    lock.lock();
  }
  announced_ = true;
}

void VmRun::handle(VmEvent event) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_info_) return;  // the service's end after the VM's
    if (std::holds_alternative<PayloadReady>(event)) ready_ = true;
    if (const auto* finished = std::get_if<PayloadFinished>(&event)) exit_code_ = finished->exit_code;
    if (const auto* stopped = std::get_if<StopInfo>(&event)) stop_info_ = *stopped;
    changed_.notify_all();
    if (!announced_) {
      held_back_.push_back(std::move(event));
      return;
    }
  }
  sink_(std::move(event));
}

std::optional<StopInfo> VmRun::stop_info() const {
  const std::lock_guard lock(mutex_);
  return stop_info_;
}

std::optional<int> VmRun::exit_code() const {
  const std::lock_guard lock(mutex_);
  return exit_code_;
}

template <typename Condition>
void VmRun::await(std::unique_lock<std::mutex>& lock, std::optional<std::chrono::milliseconds> timeout,
                  const Condition& holds) const {
  if (!timeout) {
    changed_.wait(lock, holds);
  } else {
    changed_.wait_for(lock, *timeout, holds);
  }
}

VmRun::Readiness VmRun::wait_until_ready(std::optional<std::chrono::milliseconds> timeout) const {
  std::unique_lock lock(mutex_);
  const auto known = [this] { return ready_ || exit_code_.has_value() || stop_info_.has_value(); };
  await(lock, timeout, known);
  if (exit_code_ || stop_info_) return Readiness::kOver;
  return ready_ ? Readiness::kReady : Readiness::kUnknown;
}

std::optional<StopInfo> VmRun::wait(std::optional<std::chrono::milliseconds> timeout) const {
  std::unique_lock lock(mutex_);
  await(lock, timeout, [this] { return stop_info_.has_value(); });
  return stop_info_;
}

}  // namespace adyton::sdk
