// How a client starts an adyton-vmm, and what it says of how one ended.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace adyton::vmm::control {

// Starts `program` in a session of its own, so that the signals of a terminal do not reach it, with `control` as kControlFd and no other
// descriptors of ours: /dev/null for its input and output, and `errors` for its standard error (-1: ours). `environment`: all of it,
// as NAME=VALUE; none: ours. It is the caller's child, and ends with the calling thread (PR_SET_PDEATHSIG is about threads).
Result<pid_t> launch(const std::string& program, int control, int errors = -1, std::optional<std::vector<std::string>> environment = {});

// Half a sentence, as in "the VM's process was ...": "killed by signal 11 (Segmentation fault)"; of SIGSYS what the sandbox says of it.
[[nodiscard]] std::string describe_signal(int number);

}  // namespace adyton::vmm::control
