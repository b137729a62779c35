// What a call over RpcBinder can end with, other than its result: a transport error, or an exception that the other side chose.
//
// Numbers are those of AOSP's libbinder (utils/Errors.h and binder/Status.h), because they travel on the wire: a transport error
// is the `status` of RpcWireReply, an exception stands at the start of the reply parcel.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/result.h"

namespace adyton::rpc {

// libbinder's status_t.
enum class TransportError : int32_t {
  kOk = 0,
  kPermissionDenied = -1,     // EPERM
  kNameNotFound = -2,         // ENOENT
  kWouldBlock = -11,          // EAGAIN: a nested call that has no connection to travel on
  kNoMemory = -12,            // ENOMEM: a limit of the protocol
  kAlreadyExists = -17,       // EEXIST
  kNoInit = -19,              // ENODEV
  kBadValue = -22,            // EINVAL
  kDeadObject = -32,          // EPIPE: the session has ended
  kInvalidOperation = -38,    // ENOSYS
  kNotEnoughData = -61,       // ENODATA: a parcel is shorter than what is read from it
  kUnknownTransaction = -74,  // EBADMSG: the object has no such method
  kTimedOut = -110,           // ETIMEDOUT
  kUnknownError = INT32_MIN,
  kBadType = INT32_MIN + 1,  // a parcel holds something else than what is read from it
  kFailedTransaction = INT32_MIN + 2,
  kFdsNotAllowed = INT32_MIN + 7,
  kUnexpectedNull = INT32_MIN + 8,
};

// AIDL exceptions (binder/Status.h).
enum class Exception : int32_t {
  kNone = 0,
  kSecurity = -1,
  kBadParcelable = -2,
  kIllegalArgument = -3,
  kNullPointer = -4,
  kIllegalState = -5,
  kNetworkMainThread = -6,
  kUnsupportedOperation = -7,
  kServiceSpecific = -8,
  kParcelable = -9,
  kTransactionFailed = -129,  // never on the wire: the call did not take place; transport_error() says why
};

[[nodiscard]] std::string_view to_string(TransportError error);
[[nodiscard]] std::string_view to_string(Exception exception);

// A value. Default constructed it is ok.
class [[nodiscard]] Status {
 public:
  Status() = default;
  static Status ok() { return {}; }
  static Status from_transport(TransportError error, std::string message = {});
  static Status from_exception(Exception exception, std::string message = {});
  static Status from_service_specific(int32_t code, std::string message = {});
  // An error of ours on its way to a caller: kInvalidArgument -> kIllegalArgument, kPermission -> kSecurity,
  // kUnsupported -> kUnsupportedOperation, the others -> kServiceSpecific with the ErrorCode's number; the sentence stays.
  static Status from_error(const Error& error);

  [[nodiscard]] bool is_ok() const { return exception_ == Exception::kNone; }
  [[nodiscard]] Exception exception() const { return exception_; }
  [[nodiscard]] TransportError transport_error() const {
    return transport_error_;
  }  // kOk unless exception() is kTransactionFailed
  [[nodiscard]] int32_t service_specific_code() const {
    return service_specific_code_;
  }  // 0 unless exception() is kServiceSpecific
  [[nodiscard]] const std::string& message() const { return message_; }
  // "kServiceSpecific(8): disk full": for a person.
  [[nodiscard]] std::string to_string() const;

  // So that TRY carries a Status out of a function that returns adyton::Result. The inverse of from_error().
  operator Error() const;  // NOLINT(google-explicit-constructor)

  bool operator==(const Status&) const = default;

 private:
  Exception exception_ = Exception::kNone;
  TransportError transport_error_ = TransportError::kOk;
  int32_t service_specific_code_ = 0;
  std::string message_;
};

// What every method of a generated interface returns.
template <typename T = void>
using Reply = std::expected<T, Status>;

inline std::unexpected<Status> fail(TransportError error, std::string message = {}) {
  return std::unexpected(Status::from_transport(error, std::move(message)));
}
inline std::unexpected<Status> fail(Exception exception, std::string message = {}) {
  return std::unexpected(Status::from_exception(exception, std::move(message)));
}

}  // namespace adyton::rpc
