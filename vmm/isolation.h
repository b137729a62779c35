// What of a guest its VMM shows to the host, by the guest's isolation level. The service asks the same before it passes a request
// on; the VMM, which is what an isolated guest trusts more, does not depend on that.
#pragma once
#include <string_view>

#include "base/result.h"
#include "hypervisor/hypervisor.h"

namespace adyton::vmm {

// Whether memory and registers may leave the guest; kPermission if it is isolated. `what`: "debugged", "dumped".
Result<void> check_may_be(std::string_view what, hypervisor::IsolationLevel level);

}  // namespace adyton::vmm
