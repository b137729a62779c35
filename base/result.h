// Errors as values. Every function that can fail for a reason outside the program returns Result<T>.
//
//   Result<UniqueFd> open_disk(const std::string& path) {
//     auto fd = TRY(open_file(path, O_RDWR));
//     ...
//   }
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace adyton {

// A small closed set, so that callers can branch on it; the sentence is for the person.
enum class ErrorCode : uint8_t {
  kInvalidArgument,   // the caller or its input is wrong
  kNotFound,          // something named does not exist
  kPermission,        // the operating system refuses
  kExhausted,         // memory, disk, descriptors, ids
  kUnsupported,       // this build or machine cannot do it
  kUnavailable,       // a peer is gone or not there yet
  kCorrupt,           // data does not follow its format
  kInternal,          // a broken promise inside Adyton
};

// One sentence that says what failed, why, and what to do.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <typename T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message) { return std::unexpected(Error{code, std::move(message)}); }

// "WHAT: strerror(errnum)"; the code is derived from the errno value.
std::unexpected<Error> fail_errno(std::string_view what, int errnum);
std::unexpected<Error> fail_errno(std::string_view what);  // uses errno

}  // namespace adyton

// Evaluates a Result; returns its error from the enclosing function, or yields its value.
#define TRY(expression)                                                      \
  __extension__({                                                            \
    auto adyton_try_result = (expression);                                   \
    if (!adyton_try_result) return std::unexpected(std::move(adyton_try_result).error()); \
    std::move(adyton_try_result).value();                                    \
  })
