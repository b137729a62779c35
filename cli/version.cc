#include "cli/version.h"

namespace adyton::cli {

std::string version_text() {
  return "adyton " ADYTON_VERSION
         "\nGuests: arm64, on the soft engine (dynamic binary translation; KVM is not used)"
         "\nIsolation level: none (the host may look in)";
}

}  // namespace adyton::cli
