#include "rpc/ndk/astatus.h"

#include <cstdlib>
#include <cstring>
#include <string>

using adyton::rpc::Exception;
using adyton::rpc::Status;
using adyton::rpc::TransportError;

namespace {

std::string text(const char* message) { return message != nullptr ? message : ""; }

// An exception that no AIDL language knows fails the call instead.
AStatus* from_exception(binder_exception_t exception, std::string message) {
  const bool known = !adyton::rpc::to_string(Exception{exception}).empty();
  if (exception == EX_SERVICE_SPECIFIC) return new AStatus{Status::from_service_specific(0, std::move(message))};
  return new AStatus{Status::from_exception(known ? Exception{exception} : Exception::kTransactionFailed, std::move(message))};
}

}  // namespace

AStatus* AStatus_newOk() { return new AStatus; }
AStatus* AStatus_fromExceptionCode(binder_exception_t exception) { return from_exception(exception, {}); }
AStatus* AStatus_fromExceptionCodeWithMessage(binder_exception_t exception, const char* message) {
  return from_exception(exception, text(message));
}
AStatus* AStatus_fromServiceSpecificError(int32_t serviceSpecific) {
  return new AStatus{Status::from_service_specific(serviceSpecific)};
}
AStatus* AStatus_fromServiceSpecificErrorWithMessage(int32_t serviceSpecific, const char* message) {
  return new AStatus{Status::from_service_specific(serviceSpecific, text(message))};
}
AStatus* AStatus_fromStatus(binder_status_t status) { return new AStatus{adyton::rpc::status_of(status)}; }

bool AStatus_isOk(const AStatus* status) { return status->status.is_ok(); }
binder_exception_t AStatus_getExceptionCode(const AStatus* status) {
  return static_cast<binder_exception_t>(status->status.exception());
}
int32_t AStatus_getServiceSpecificError(const AStatus* status) { return status->status.service_specific_code(); }
binder_status_t AStatus_getStatus(const AStatus* status) {
  return static_cast<binder_status_t>(status->status.transport_error());
}
const char* AStatus_getMessage(const AStatus* status) { return status->status.message().c_str(); }

const char* AStatus_getDescription(const AStatus* status) {
  const std::string description = status->status.to_string();
  char* copy = new char[description.size() + 1];
  std::memcpy(copy, description.c_str(), description.size() + 1);
  return copy;
}
void AStatus_deleteDescription(const char* description) { delete[] description; }
void AStatus_delete(AStatus* status) { delete status; }
