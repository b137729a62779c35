#include "vmm/inspect/backtrace.h"

#include <algorithm>

namespace adyton::vmm::inspect {
namespace {

constexpr uint64_t kMetaRegisters = 2, kToSavedX29 = 64, kToSavedPc = 40;

template <typename T>
std::span<uint8_t> bytes_of(T& value) {
  return std::span(reinterpret_cast<uint8_t*>(&value), sizeof value);
}

}  // namespace

std::vector<uint64_t> backtrace(uint64_t pc, uint64_t frame_pointer, const ReadVirtual& read) {
  struct Frame {
    uint64_t next, return_address;
  };
  std::vector<uint64_t> addresses = {pc}, seen;
  // Stacks may come in any order (interrupts, exceptions), so that only a record that comes again says that it goes round in
  // circles.
  while (addresses.size() < kMaxFrames && seen.size() < kMaxFrames && frame_pointer != 0 && frame_pointer % 8 == 0 &&
         std::ranges::find(seen, frame_pointer) == seen.end()) {
    seen.push_back(frame_pointer);
    Frame frame{};
    if (!read(frame_pointer, bytes_of(frame))) break;
    // Linux 6.13 and later mark an exception by an empty record with a type behind it (arm64's asm/stacktrace/frame.h): x29 and
    // the PC of what it interrupted are among the registers before it (struct pt_regs).
    if (frame.next == 0 && frame.return_address == 0) {
      uint64_t type = 0;
      if (!read(frame_pointer + sizeof frame, bytes_of(type)) || type != kMetaRegisters) break;
      if (!read(frame_pointer - kToSavedX29, bytes_of(frame.next)) ||
          !read(frame_pointer - kToSavedPc, bytes_of(frame.return_address)))
        break;
    }
    if (frame.return_address != 0) addresses.push_back(frame.return_address);
    frame_pointer = frame.next;
  }
  return addresses;
}

}  // namespace adyton::vmm::inspect
