// The sandbox of the process adyton-vmm. The guest is hostile to it, and may one day find a way in: then this is what is left to
// it, which is the descriptors that it was given and the few system calls in policy/.
//
//   enter_process()   first thing in main(), while there is one thread: namespaces, empty root, limits, no privileges, the filter
//   `setup` enter_thread()    each thread, before it sees anything of the guest: its own filter on top
//
// docs/sandbox.md describes it. Border: base only.
#pragma once
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "vmm/sandbox/report.h"

namespace adyton::vmm::sandbox {

// `control`: where a forbidden call is reported. Fails when a measure cannot be taken that every host has to offer (no_new_privs,
// filters, limits); those that a host may refuse are in the report. From here on every thread of start_thread() confines itself.
Result<Report> enter_process(int control);

// Confines the calling thread by the policy of that name. Ends the process when it cannot.
void enter_thread(const char* name);

}  // namespace adyton::vmm::sandbox
