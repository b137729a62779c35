#include "vmm/isolation.h"

#include <fmt/format.h>

namespace adyton::vmm {

Result<void> check_may_be(std::string_view what, hypervisor::IsolationLevel level) {
  if (level == hypervisor::IsolationLevel::kNone) return {};
  return fail(ErrorCode::kPermission,
              fmt::format("the virtual machine's isolation is '{}': nobody may look into it, so that it cannot be {}",
                          hypervisor::to_string(level), what));
}

}  // namespace adyton::vmm
