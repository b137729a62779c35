// What an AStatus is.
#pragma once
#include "rpc/ndk/include/android/binder_status.h"
#include "rpc/status.h"

struct AStatus {
  adyton::rpc::Status status;
};

namespace adyton::rpc {

// The numbers are the same.
inline binder_status_t ndk_status(const Status& status) {
  return status.is_ok()                                        ? STATUS_OK
         : status.exception() == Exception::kTransactionFailed ? static_cast<binder_status_t>(status.transport_error())
                                                               : STATUS_FAILED_TRANSACTION;
}
inline Status status_of(binder_status_t status) { return Status::from_transport(TransportError{status}); }

}  // namespace adyton::rpc
