// Who hears of the calls that the service serves: its metrics, and traces of VMs.
#pragma once
#include <memory>
#include <utility>

#include "rpc/call_observer.h"
#include "service/call_trace.h"
#include "service/metrics/call_metrics.h"

namespace adyton::service {

// Calls of clients: those to a VM's object are that VM's, in its metrics and its trace; the others go to `metrics`.
class ClientCallObserver final : public rpc::CallObserver {
 public:
  explicit ClientCallObserver(std::shared_ptr<CallMetrics> metrics) : metrics_(std::move(metrics)) {}
  void served(const rpc::ServedCall& call) override;

 private:
  const std::shared_ptr<CallMetrics> metrics_;
};

// Calls of one VM's guest.
class GuestCallObserver final : public rpc::CallObserver {
 public:
  GuestCallObserver(std::shared_ptr<CallMetrics> metrics, std::shared_ptr<CallTrace> trace)
      : metrics_(std::move(metrics)), trace_(std::move(trace)) {}
  void served(const rpc::ServedCall& call) override;

 private:
  const std::shared_ptr<CallMetrics> metrics_;
  const std::shared_ptr<CallTrace> trace_;
};

}  // namespace adyton::service
