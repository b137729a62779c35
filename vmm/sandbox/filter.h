// System call filters (seccomp(2)), compiled from policy/ when the program is built.
#pragma once
#include <linux/filter.h>

#include <span>
#include <string_view>

#include "base/result.h"

namespace adyton::vmm::sandbox {

// The policy of the process before its threads have theirs: what any of them may do, and what setting up takes.
inline constexpr std::string_view kSetupPolicy = "setup";

// Empty when there is no such policy. A thread's policy is the one with its name; digits at the end count its siblings ("vcpu3").
std::span<const sock_filter> find_policy(std::string_view thread_name);

// Confines the calling thread, and those that it starts, for ever. Filters add up: what one of them forbids is forbidden.
Result<void> install_filter(std::span<const sock_filter> program);

// "openat", or null.
const char* system_call_name(long number);

}  // namespace adyton::vmm::sandbox
