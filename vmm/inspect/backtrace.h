// Who called whom: the chain of frame records that AArch64 code keeps (AAPCS64 6.4.6).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace adyton::vmm::inspect {

// Reads the guest's virtual memory; false when not all of it is mapped.
using ReadVirtual = std::function<bool(uint64_t va, std::span<uint8_t> out)>;

inline constexpr size_t kMaxFrames = 64;

// `pc`, and the return address of each frame from `frame_pointer` (x29) on, at most kMaxFrames in all. It ends where a record is
// zero, is not aligned to 8 bytes, is not in memory, or has been seen before. A function that has not made its frame yet is
// missing its caller.
std::vector<uint64_t> backtrace(uint64_t pc, uint64_t frame_pointer, const ReadVirtual& read);

}  // namespace adyton::vmm::inspect
