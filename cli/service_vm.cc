#include "cli/service_vm.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "cli/message.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {

class ServiceVm::Queue {
 public:
  explicit Queue(UniqueFd wake) : wake_(std::move(wake)) {}
  [[nodiscard]] int fd() const { return wake_.get(); }

  void post(VmEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof(one));
  }
  std::atomic<bool> ran = false;
  std::vector<VmEvent> take() {
    const std::lock_guard lock(mutex_);
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof(count));
    return std::exchange(events_, {});
  }

 private:
  const UniqueFd wake_;
  std::mutex mutex_;
  std::vector<VmEvent> events_;
};

namespace {

// In the words of a VM of our own where the service has others.
std::string explain(StopReason reason, const std::string& message, bool payload) {
  if (reason == StopReason::kReboot) return "the guest reset itself, the VM was ended";
  if (reason == StopReason::kShutdown && payload) return "the guest powered off before the payload had ended";
  return one_line(message);
}

}  // namespace

class ServiceVm::Callback final : public VirtualMachineCallback {
 public:
  Callback(std::shared_ptr<Queue> queue, bool payload, bool timeline)
      : queue_(std::move(queue)), payload_(payload), timeline_(timeline) {}

  void onPayloadStarted(VirtualMachine& vm) override {
    queue_->ran = true;
    if (!payload_) return;
    if (timeline_) {
      BootTimeline boot;
      if (const auto phases = vm.getBootPhases()) {
        for (const auto& phase : *phases)
          boot.phases.push_back(
              {phase.name, static_cast<uint64_t>(phase.begin.count()), static_cast<uint64_t>(phase.end.count())});
      }
      queue_->post(std::move(boot));
    }
    queue_->post(PayloadStarted{});
  }
  void onPayloadFinished(VirtualMachine&, int exit_code) override {
    ended_ = true;
    queue_->post(PayloadEnded{.exit_code = exit_code & 0xff, .message = {}});
  }
  void onError(VirtualMachine&, VmErrorCode, const std::string& message) override { complaint_ = one_line(message); }
  void onStopped(VirtualMachine& vm, StopReason reason, const std::string& message) override {
    // A payload that could not be executed has an exit code, and the guest has said why.
    if (complaint_.empty()) complaint_ = one_line(message);
    const auto code = payload_ && !ended_ ? vm.getPayloadExitCode() : std::nullopt;
    if (code) queue_->post(PayloadEnded{.exit_code = *code, .message = complaint_, .executed = false});
    queue_->post(VmEnds{.message = explain(reason, message, payload_), .failed = payload_ || reason != StopReason::kShutdown});
    queue_->post(VmGone{});
  }

 private:
  const std::shared_ptr<Queue> queue_;
  const bool payload_;
  const bool timeline_;
  // On the library's thread:
  bool ended_ = false;
  std::string complaint_;
};

Result<std::unique_ptr<ServiceVm>> ServiceVm::make(std::shared_ptr<VirtualMachine> vm, Streams streams,
                                                   VirtualMachine::RunOptions options, bool timeline) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno("cannot wait for the virtual machine");
  auto queue = std::make_shared<Queue>(std::move(wake));
  vm->setCallback(std::make_shared<Callback>(queue, streams != Streams::kNone, timeline));
  std::unique_ptr<ServiceVm> made(new ServiceVm(std::move(vm), std::move(options), std::move(queue)));
  TRY(made->listen(streams));
  return made;
}

ServiceVm::~ServiceVm() {
  vm_->clearCallback();
  if (started_) (void)vm_->kill();
}

Result<void> ServiceVm::listen(Streams streams) {
  std::vector<uint32_t> ports;
  if (streams == Streams::kPipes) ports = {guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort};
  if (streams == Streams::kTerminal) ports = {guest::kTerminalPort};
  for (const uint32_t port : ports) {
    TRY(vm_->listenVsock(port, [queue = queue_, port](UniqueFd stream) {
      queue->post(PayloadStream{.port = port, .stream = std::move(stream)});
    }));
  }
  return {};
}

Result<void> ServiceVm::start() {
  queue_->post(VmBooting{});
  auto started = vm_->run(std::move(options_));
  started_ = started.has_value();
  if (started_) return {};
  const auto code = vm_->getPayloadExitCode();
  if (!code) return started;
  // The payload's fault, as if the guest had said so; nothing has booted.
  (void)queue_->take();
  queue_->post(PayloadEnded{.exit_code = *code, .message = started.error().message, .executed = false});
  queue_->post(VmGone{});
  return {};
}

void ServiceVm::watch(std::vector<pollfd>& polls) const { polls.push_back({.fd = queue_->fd(), .events = POLLIN, .revents = 0}); }

std::vector<VmEvent> ServiceVm::step(std::span<const pollfd> polls) {
  for (const pollfd& p : polls) {
    if (p.fd == queue_->fd() && p.revents != 0) return queue_->take();
  }
  return {};
}

Result<void> ServiceVm::resize(const TerminalSize& size) {
  return vm_->setTerminalSize({.rows = size.rows, .columns = size.columns});
}

bool ServiceVm::has_run() const { return queue_->ran; }

void ServiceVm::release(bool power_off) { (void)(power_off ? vm_->stop() : vm_->kill()); }

}  // namespace adyton::cli
