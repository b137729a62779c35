// The text of a policy: which system calls a kind of thread may make. One call per line, with an optional condition on its
// arguments and a mandatory comment that says what for:
//
//   futex                                        # locks
//   mmap       prot & PROT_EXEC == 0             # memory, but no code
//   clone3     = ENOSYS                          # fails with that error instead of ending the process
//   ?getpid                                      # abort(); needs a fault of ours
//
// A question mark is for a call that a run of every device and request need not make. Behind the last semicolon of its comment
// stands why: "by chance" (threads that meet, memory that is short), "on some hosts", or what it "needs" that no such run has.
// Lines for one call add up; conditions of one line, separated by commas, must all hold. An argument is arg0 to arg5, or its name
// for the calls that have names for them here.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace adyton::vmm::sandbox {

struct Condition {  // (argument & mask) == value
  unsigned argument = 0;
  uint64_t mask = UINT64_MAX;
  uint64_t value = 0;
  bool operator==(const Condition&) const = default;
};

struct Rule {
  std::string call;
  bool rare = false;
  std::string rare_because;  // "by chance", "on some hosts", "needs ..."
  std::vector<Condition> conditions;
  std::optional<int> error;  // an errno value
  std::string reason;
};

// The error names the line: "vcpu.policy:12: ...".
Result<std::vector<Rule>> parse_policy(std::string_view name, std::string_view text);

}  // namespace adyton::vmm::sandbox
