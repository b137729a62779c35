// Where a capture's bytes go: a file, a pipe, a socket, a terminal.
//
// Writes are collected, and made when flush() says so or enough is there. A pipe whose reader is slow holds up whoever writes,
// but never beyond what the interrupt says; one whose reader is gone is an end, not an error.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::capture {

class Output {
 public:
  // `interrupt`: a descriptor that becomes readable when waiting is to end (a signalfd); -1: none. It stays the caller's.
  explicit Output(UniqueFd fd, int interrupt = -1);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Fails with what the system says, a full disk say. What is written after the reader has gone, or after an interrupt that came
  // while the reader did not read, is thrown away: see ended().
  Result<void> write(std::span<const uint8_t> bytes);
  Result<void> flush();

  // Nothing that is written will arrive any more.
  [[nodiscard]] bool ended() const { return ended_; }
  // To be watched for POLLERR, which says that the reader has gone.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  static constexpr size_t kBuffer = 256 * 1024;
  static constexpr size_t kLarge = 16 * 1024;  // a system call costs less than another copy of so much

  Result<void> write_out(std::span<const uint8_t> bytes);
  // False: interrupted.
  Result<bool> wait_for_room();

  const UniqueFd fd_;
  const int interrupt_;
  bool waits_ = true;  // for a reader: not a file or a device, which take all that they are given
  bool ended_ = false;
  std::vector<uint8_t> buffer_;
};

}  // namespace adyton::capture
