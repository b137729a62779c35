// Whether a new version of an API may stand in for an old one: what --checkapi asks. Both directions count, because nobody knows which
// side of a call is the newer one.
#pragma once
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {

enum class CompatibilityLevel : uint8_t {
  kCompatible,  // types, methods, constants and enumerators may be added, fields at the end when old peers can leave them out
  kEqual,       // nothing that --dumpapi shows has changed
};

// Reports what stands in the way to `diagnostics`; true when nothing does.
bool check_compatible(const Program& older, const Program& newer, CompatibilityLevel level, Diagnostics& diagnostics);

}  // namespace adyton::aidl
