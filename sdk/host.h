// What this machine has.
#pragma once
#include <cstdint>

namespace adyton::sdk {

// Bytes that processes of ours may use at most: the machine's memory, or the control group's limit when that is less.
uint64_t host_memory();

}  // namespace adyton::sdk
