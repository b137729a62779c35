// What an attacker who has got into a thread could make it do, or a fault of ours: another process's thread is made to call a
// function of the C library, by ptrace. Needs the right to trace a process that is not dumpable, which is root's, and x86-64.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace adyton::e2e {

// The thread of that name ("main" and "control": the first one), as soon as it has that many filters; none when that takes a
// minute.
std::optional<pid_t> find_thread(pid_t process, const std::string& name, unsigned filters);

// Lets the thread go on in `function` of the C library, with one argument, on its own stack, and untraced. It returns to address
// 0, which is the end of the process. kUnsupported where ptrace is not permitted, or not on x86-64.
Result<void> hijack(pid_t process, pid_t thread, const char* function, uint64_t argument);

}  // namespace adyton::e2e
