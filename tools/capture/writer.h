// What the packets of a capture are made into: a file of some format, or lines of text.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "tools/capture/packet.h"

namespace adyton::capture {

// One virtual machine of a capture.
struct Interface {
  std::string name;
  uint64_t received = 0;  // packets written
  uint64_t dropped = 0;   // packets for which there was no room
  uint64_t started = 0;   // nanoseconds since the Unix epoch
  uint64_t ended = 0;
};

// Errors are those of the output.
class Writer {
 public:
  virtual ~Writer() = default;

  // Interfaces are numbered from 0 in the order of these calls, all of which come before the first packet.
  virtual Result<void> add_interface(const Interface& interface) = 0;
  // `lost`: packets of the interface that were dropped between the one before and this one. `comment`: may be empty.
  virtual Result<void> packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) = 0;
  // The interface's last word.
  virtual Result<void> statistics(uint32_t interface, const Interface& totals) = 0;
  // All that was written so far has reached the output.
  virtual Result<void> flush() = 0;
};

}  // namespace adyton::capture
