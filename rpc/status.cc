#include "rpc/status.h"

#include <fmt/format.h>

namespace adyton::rpc {

std::string_view to_string(TransportError error) {
  switch (error) {
    case TransportError::kOk: return "kOk";
    case TransportError::kPermissionDenied: return "kPermissionDenied";
    case TransportError::kNameNotFound: return "kNameNotFound";
    case TransportError::kWouldBlock: return "kWouldBlock";
    case TransportError::kNoMemory: return "kNoMemory";
    case TransportError::kAlreadyExists: return "kAlreadyExists";
    case TransportError::kNoInit: return "kNoInit";
    case TransportError::kBadValue: return "kBadValue";
    case TransportError::kDeadObject: return "kDeadObject";
    case TransportError::kInvalidOperation: return "kInvalidOperation";
    case TransportError::kNotEnoughData: return "kNotEnoughData";
    case TransportError::kUnknownTransaction: return "kUnknownTransaction";
    case TransportError::kTimedOut: return "kTimedOut";
    case TransportError::kUnknownError: return "kUnknownError";
    case TransportError::kBadType: return "kBadType";
    case TransportError::kFailedTransaction: return "kFailedTransaction";
    case TransportError::kFdsNotAllowed: return "kFdsNotAllowed";
    case TransportError::kUnexpectedNull: return "kUnexpectedNull";
  }
  return {};
}

std::string_view to_string(Exception exception) {
  switch (exception) {
    case Exception::kNone: return "kNone";
    case Exception::kSecurity: return "kSecurity";
    case Exception::kBadParcelable: return "kBadParcelable";
    case Exception::kIllegalArgument: return "kIllegalArgument";
    case Exception::kNullPointer: return "kNullPointer";
    case Exception::kIllegalState: return "kIllegalState";
    case Exception::kNetworkMainThread: return "kNetworkMainThread";
    case Exception::kUnsupportedOperation: return "kUnsupportedOperation";
    case Exception::kServiceSpecific: return "kServiceSpecific";
    case Exception::kParcelable: return "kParcelable";
    case Exception::kTransactionFailed: return "kTransactionFailed";
  }
  return {};
}

Status Status::from_transport(TransportError error, std::string message) {
  Status status;
  if (error == TransportError::kOk) return status;
  status.exception_ = Exception::kTransactionFailed;
  status.transport_error_ = error;
  status.message_ = std::move(message);
  return status;
}

Status Status::from_exception(Exception exception, std::string message) {
  Status status;
  if (exception == Exception::kNone) return status;
  status.exception_ = exception;
  if (exception == Exception::kTransactionFailed) status.transport_error_ = TransportError::kUnknownError;
  status.message_ = std::move(message);
  return status;
}

Status Status::from_service_specific(int32_t code, std::string message) {
  Status status;
  status.exception_ = Exception::kServiceSpecific;
  status.service_specific_code_ = code;
  status.message_ = std::move(message);
  return status;
}

Status Status::from_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return from_exception(Exception::kIllegalArgument, error.message);
    case ErrorCode::kPermission: return from_exception(Exception::kSecurity, error.message);
    case ErrorCode::kUnsupported: return from_exception(Exception::kUnsupportedOperation, error.message);
    default: return from_service_specific(static_cast<int32_t>(error.code), error.message);
  }
}

Status::operator Error() const {
  const auto code = [this] {
    switch (exception_) {
      case Exception::kIllegalArgument: return ErrorCode::kInvalidArgument;
      case Exception::kSecurity: return ErrorCode::kPermission;
      case Exception::kUnsupportedOperation: return ErrorCode::kUnsupported;
      case Exception::kServiceSpecific:
        // Other services number their errors as they like; theirs say nothing about ours.
        if (service_specific_code_ >= 0 && service_specific_code_ <= static_cast<int32_t>(ErrorCode::kInternal)) {
          return static_cast<ErrorCode>(service_specific_code_);
        }
        return ErrorCode::kInternal;
      case Exception::kTransactionFailed: break;
      default: return ErrorCode::kInternal;
    }
    switch (transport_error_) {
      case TransportError::kPermissionDenied: return ErrorCode::kPermission;
      case TransportError::kNameNotFound: return ErrorCode::kNotFound;
      case TransportError::kNoMemory: return ErrorCode::kExhausted;
      case TransportError::kUnknownTransaction:
      case TransportError::kInvalidOperation:
      case TransportError::kFdsNotAllowed: return ErrorCode::kUnsupported;
      case TransportError::kBadValue:
      case TransportError::kBadType:
      case TransportError::kNotEnoughData:
      case TransportError::kUnexpectedNull: return ErrorCode::kCorrupt;
      case TransportError::kNoInit:
      case TransportError::kWouldBlock:
      case TransportError::kDeadObject:
      case TransportError::kTimedOut: return ErrorCode::kUnavailable;
      default: return ErrorCode::kInternal;
    }
  }();
  return {code, message_.empty() ? to_string() : message_};
}

std::string Status::to_string() const {
  if (is_ok()) return "ok";
  std::string text(rpc::to_string(exception_));
  if (text.empty()) text = fmt::format("exception {}", static_cast<int32_t>(exception_));
  if (exception_ == Exception::kServiceSpecific) text += fmt::format("({})", service_specific_code_);
  if (exception_ == Exception::kTransactionFailed) {
    const std::string_view name = rpc::to_string(transport_error_);
    text += name.empty() ? fmt::format("({})", static_cast<int32_t>(transport_error_)) : fmt::format("({})", name);
  }
  if (!message_.empty()) text += ": " + message_;
  return text;
}

}  // namespace adyton::rpc
