// The system calls of an adyton-vmm process, as strace saw them, by the policy that was in force for the thread that made them.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/sandbox/compiler/policy_file.h"

namespace adyton::e2e {

struct TracedCall {
  std::string name;
  std::vector<std::optional<uint64_t>> arguments;  // those that are numbers
};

// Policy to the calls that were made under it.
using CallTrace = std::map<std::string, std::vector<TracedCall>>;

// Adds what is in a file of `strace -f -X raw`. Its first process is adyton-vmm.
void add_trace(CallTrace& trace, std::string_view text);

// Some call is what `rule` is about.
bool is_exercised(const vmm::sandbox::Rule& rule, const std::vector<TracedCall>& calls);

}  // namespace adyton::e2e
