#include "hypervisor/soft/io_eventfd_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace adyton::hypervisor::soft {
namespace {

uint64_t truncate(uint64_t data, uint32_t length) { return length == 8 ? data : data & ((1ull << (8 * length)) - 1); }

bool same_match(const IoEventFdTable::Entry& entry, const IoEventFd& doorbell) {
  return entry.address == doorbell.address && entry.length == doorbell.length && entry.match_data == doorbell.match_data &&
         (!entry.match_data || entry.data == truncate(doorbell.data, doorbell.length));
}

}  // namespace

bool IoEventFdTable::Reader::ring(GuestPhysAddr address, uint32_t length, uint64_t data) {
  if (uint64_t generation = table_.generation_.load(std::memory_order_acquire); generation != generation_) {
    std::lock_guard lock(table_.mutex_);
    entries_ = table_.entries_;
    generation_ = table_.generation_.load(std::memory_order_relaxed);
  }
  if (!entries_) return false;
  for (auto entry = std::ranges::lower_bound(*entries_, address, {}, &Entry::address);
       entry != entries_->end() && entry->address == address; ++entry) {
    if (entry->length != length || (entry->match_data && entry->data != data)) continue;
    const uint64_t one = 1;
    // A full counter (EAGAIN) is already a signal.
    [[maybe_unused]] ssize_t written = ::write(entry->eventfd->get(), &one, sizeof one);
    return true;
  }
  return false;
}

Result<void> IoEventFdTable::add(const IoEventFd& doorbell) {
  if (doorbell.length != 1 && doorbell.length != 2 && doorbell.length != 4 && doorbell.length != 8) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("a doorbell of {} bytes: 1, 2, 4 and 8 are possible", doorbell.length));
  }
  std::lock_guard lock(mutex_);
  if (entries_ && std::ranges::any_of(*entries_, [&](const Entry& entry) { return same_match(entry, doorbell); })) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("there is a doorbell at {:#x} already", doorbell.address));
  }
  UniqueFd fd(::fcntl(doorbell.eventfd, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot keep a doorbell's eventfd");
  auto next = std::make_shared<Entries>(entries_ ? *entries_ : Entries{});
  next->push_back({doorbell.address, doorbell.length, doorbell.match_data, truncate(doorbell.data, doorbell.length),
                   std::make_shared<UniqueFd>(std::move(fd))});
  std::ranges::stable_sort(*next, {}, &Entry::address);
  entries_ = std::move(next);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<void> IoEventFdTable::remove(const IoEventFd& doorbell) {
  std::lock_guard lock(mutex_);
  auto next = std::make_shared<Entries>(entries_ ? *entries_ : Entries{});
  if (std::erase_if(*next, [&](const Entry& entry) { return same_match(entry, doorbell); }) == 0) {
    return fail(ErrorCode::kNotFound, fmt::format("there is no such doorbell at {:#x}", doorbell.address));
  }
  entries_ = std::move(next);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

}  // namespace adyton::hypervisor::soft
