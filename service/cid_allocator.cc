#include "service/cid_allocator.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>

#include "base/unique_fd.h"

namespace adyton::service {

CidAllocator::CidAllocator(std::string path) : path_(std::move(path)) {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  char text[16];
  const ssize_t size = fd.valid() ? ::read(fd.get(), text, sizeof(text)) : -1;
  uint32_t value = 0;
  if (size > 0 && std::from_chars(text, text + size, value).ec == std::errc() && value >= kFirst && value <= kLast) last_ = value;
}

Result<uint32_t> CidAllocator::allocate() {
  if (live_.size() > kLast - kFirst) return fail(ErrorCode::kExhausted, "all numbers for VMs are in use");
  do { last_ = last_ == kLast ? kFirst : last_ + 1; } while (live_.contains(last_));
  live_.insert(last_);
  const UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  // Five digits always, so that one write replaces the whole.
  const std::string text = fmt::format("{:05}\n", last_);
  if (fd.valid()) (void)!::write(fd.get(), text.data(), text.size());
  return last_;
}

}  // namespace adyton::service
