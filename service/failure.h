// Errors of the service. Some tell the caller that the arguments are right and the moment is not.
#pragma once
#include <expected>
#include <string>
#include <utility>

#include "base/result.h"

namespace adyton::service {

enum class Problem : uint8_t {
  kNone,
  kExists,      // there is one of that name
  kInUse,       // a VM lives on it
  kWrongState,  // the VM has not started yet, or has, or is dead
};

struct Failure {
  Error error;
  Problem problem = Problem::kNone;

  Failure(Error what, Problem why = Problem::kNone) : error(std::move(what)), problem(why) {}  // NOLINT: TRY carries an Error out
};

template <typename T = void>
using Outcome = std::expected<T, Failure>;

inline std::unexpected<Failure> problem(Problem why, std::string message) {
  return std::unexpected(Failure(Error{ErrorCode::kInvalidArgument, std::move(message)}, why));
}

}  // namespace adyton::service
