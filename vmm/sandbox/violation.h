// What happens when a thread makes a system call that its filter does not list: the kernel does not execute it and raises SIGSYS
// (SECCOMP_RET_TRAP); the handler tells the client which one it was and ends the process. It cannot be replaced, as no policy
// lists rt_sigaction.
#pragma once
#include "base/result.h"

namespace adyton::vmm::sandbox {

// `control`: the control socket. The last message on it is an `ended` event with the reason forbidden-call.
Result<void> report_forbidden_calls(int control);

// What the report calls the calling thread.
void remember_thread_name(const char* name);

// The exit code of a process that made a forbidden call: as a shell shows a death by SIGSYS.
inline constexpr int kForbiddenCallExit = 128 + 31;

}  // namespace adyton::vmm::sandbox
