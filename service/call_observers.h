// Who hears of the calls that the service serves: its metrics, and traces of VMs.
#pragma once
#include <memory>
#include <utility>

#include "rpc/call_observer.h"
#include "service/call_trace.h"

namespace adyton::service {

// Calls of clients: all go to `metrics`, those to a VM's object to that VM's trace too.
class ClientCallObserver final : public rpc::CallObserver {
 public:
  explicit ClientCallObserver(std::shared_ptr<rpc::CallObserver> metrics) : metrics_(std::move(metrics)) {}
  void served(const rpc::ServedCall& call) override;

 private:
  const std::shared_ptr<rpc::CallObserver> metrics_;
};

// Calls of one VM's guest.
class GuestCallObserver final : public rpc::CallObserver {
 public:
  explicit GuestCallObserver(std::shared_ptr<CallTrace> trace) : trace_(std::move(trace)) {}
  void served(const rpc::ServedCall& call) override;

 private:
  const std::shared_ptr<CallTrace> trace_;
};

}  // namespace adyton::service
