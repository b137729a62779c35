#include "cli/console_log.h"

#include <unistd.h>

#include <cerrno>

namespace adyton::cli {
namespace {

Result<void> write_all(int fd, const std::string& name, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write " + name);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace

Result<void> ConsoleLog::append(std::span<const uint8_t> bytes) {
  kept_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // Cut in large steps, so that a byte is moved about once.
  if (kept_.size() > 2 * kKept) kept_.erase(0, kept_.size() - kKept);
  if (panic_watch_.heard(bytes) && panicked_) panicked_();
  for (const Copy& copy : copies_) TRY(write_all(copy.fd, copy.name, bytes));
  return {};
}

std::string_view ConsoleLog::tail() const {
  const std::string_view all = kept_;
  return all.size() <= kKept ? all : all.substr(all.size() - kKept);
}

std::optional<std::string> ConsoleLog::panic() const {
  std::string reason = observe::panic_reason(kept_);
  return reason.empty() ? std::nullopt : std::optional(std::move(reason));
}

}  // namespace adyton::cli
