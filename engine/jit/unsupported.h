// What guests try to execute that the engine lacks, for the log: an architecture extension that no guest is offered (ID
// registers), once for each kind.
#pragma once
#include <atomic>
#include <cstdint>

namespace adyton::engine::jit {

class UnsupportedInstructions {
 public:
  // The extension that an UNDEFINED instruction would be part of, as the Arm ARM calls it, if nobody has asked about one of its
  // kind before; otherwise, and for what is in no extension that we know, nullptr. Any thread, no lock.
  const char* first_of_its_kind(uint32_t insn);

 private:
  std::atomic<uint32_t> seen_{0};  // bits: kinds
};

}  // namespace adyton::engine::jit
