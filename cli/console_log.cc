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
  for (const Copy& copy : copies_) TRY(write_all(copy.fd, copy.name, bytes));
  return {};
}

std::string_view ConsoleLog::tail() const {
  const std::string_view all = kept_;
  return all.size() <= kKept ? all : all.substr(all.size() - kKept);
}

std::optional<std::string> ConsoleLog::panic() const {
  constexpr std::string_view kMark = "Kernel panic - not syncing: ";
  const size_t at = kept_.find(kMark);
  if (at == std::string::npos) return std::nullopt;
  const size_t from = at + kMark.size();
  std::string reason = kept_.substr(from, kept_.find_first_of("\r\n", from) - from);
  // It is the guest's text and goes to a terminal.
  for (char& c : reason) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return reason;
}

}  // namespace adyton::cli
