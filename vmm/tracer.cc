#include "vmm/tracer.h"

#include <fmt/format.h>
#include <poll.h>

#include <utility>

namespace adyton::vmm {
namespace {

bool has_hung_up(int socket) {
  pollfd look{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&look, 1, 0) > 0;
}

}  // namespace

Tracer::~Tracer() {
  loop_.run_sync([this] { end(); });
}

Result<UniqueFd> Tracer::start(int rings, size_t ring_count, uint32_t categories) {
  if (categories == 0 || (categories & ~observe::kAllTraceCategories) != 0)
    return fail(ErrorCode::kInvalidArgument, "a trace has one or more of the categories that there are");
  if (isolation_ != hypervisor::IsolationLevel::kNone && (categories & observe::kInsideTraceCategories) != 0) {
    return fail(ErrorCode::kPermission,
                fmt::format("the virtual machine's isolation is '{}': what its vCPUs do is not for the host to see, because it "
                            "gives away what the guest keeps secret; trace its virtio and vsock only",
                            to_string(isolation_)));
  }
  if (ring_count != threads_.size()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a trace of this virtual machine takes {} rings, one for each vCPU and device and one more",
                            threads_.size()));
  }
  auto session = std::make_unique<Session>();
  for (size_t i = 0; i < ring_count; ++i)
    session->rings.push_back(std::make_unique<Ring>(TRY(observe::RecordRing::map(rings, i, ring_count))));
  auto wake = TRY(observe::make_wake_pair());
  session->wake = std::move(wake.writer);
  Result<void> begun;
  loop_.run_sync([&] { begun = begin(std::move(session), categories); });
  if (!begun) return std::unexpected(begun.error());
  return std::move(wake.reader);
}

Result<void> Tracer::begin(std::unique_ptr<Session> session, uint32_t categories) {
  // The last one's end may not have been heard of yet.
  if (session_ && has_hung_up(session_->wake.get())) end();
  if (session_) return fail(ErrorCode::kExhausted, "the virtual machine is being traced already, and has one trace at a time");
  session->watch = TRY(loop_.watch(session->wake.get(), EPOLLRDHUP, [this](uint32_t) { end(); }));
  session_ = std::move(session);
  for (size_t i = 0; i < threads_.size(); ++i) {
    const Thread& thread = threads_[i];
    observe::RecordWriter& writer = session_->rings[i]->writer;
    if (thread.vcpu != nullptr) {
      thread.vcpu->attach(writer, categories);
    } else if (thread.irqchip != nullptr) {
      thread.irqchip->attach(writer, categories);
    } else {
      thread.device->attach(writer, categories);
    }
  }
  return {};
}

void Tracer::end() {
  if (!session_) return;
  loop_.unwatch(session_->watch);
  for (const Thread& thread : threads_) {
    if (thread.vcpu != nullptr) {
      thread.vcpu->detach();
    } else if (thread.irqchip != nullptr) {
      thread.irqchip->detach();
    } else {
      thread.device->detach();
    }
  }
  session_.reset();
}

}  // namespace adyton::vmm
