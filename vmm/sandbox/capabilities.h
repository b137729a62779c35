// No privilege, and no way to get one back.
#pragma once
#include "vmm/sandbox/report.h"

namespace adyton::vmm::sandbox {

// Empties every capability set (capabilities(7)), locks the secure bits, sets no_new_privs.
void drop_privileges(Report& report);

}  // namespace adyton::vmm::sandbox
