// What init does in place of a program: its end of `adyton cp`.
#pragma once
#include "guest/exec_protocol.h"

namespace adyton::guest {

// Sends or receives files over descriptors 0 and 1, as request.operation says, and ends the process: with 0, or with kExitError
// after a sentence on descriptor 2. To be called in a child that has become the request's user.
[[noreturn]] void run_tree_operation(const ExecRequest& request);

}  // namespace adyton::guest
