#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace adyton {
namespace {

ErrorCode code_of(int errnum) {
  switch (errnum) {
    case ENOENT: case ENOTDIR: case ENXIO: return ErrorCode::kNotFound;
    case EACCES: case EPERM: case EROFS: return ErrorCode::kPermission;
    case ENOMEM: case ENOSPC: case EMFILE: case ENFILE: case EDQUOT: case EAGAIN: return ErrorCode::kExhausted;
    case EINVAL: case ENAMETOOLONG: case EISDIR: case EFBIG: return ErrorCode::kInvalidArgument;
    case ENOSYS: case EOPNOTSUPP: return ErrorCode::kUnsupported;
    case EPIPE: case ECONNREFUSED: case ECONNRESET: case ENOTCONN: return ErrorCode::kUnavailable;
    default: return ErrorCode::kInternal;
  }
}

}  // namespace

std::unexpected<Error> fail_errno(std::string_view what, int errnum) {
  std::string message(what);
  message += ": ";
  message += strerrordesc_np(errnum) ? strerrordesc_np(errnum) : "unknown error";
  return fail(code_of(errnum), std::move(message));
}

std::unexpected<Error> fail_errno(std::string_view what) { return fail_errno(what, errno); }

}  // namespace adyton
