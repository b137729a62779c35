// Whether this host's processor can run the engine, and what of it the engine makes use of.
#include "engine/engine.h"
#include "engine/x64/host_features.h"

namespace adyton::engine {

Result<std::vector<std::string>> host_features() {
  const x64::HostFeatures features = TRY(x64::HostFeatures::detect());
  std::vector<std::string> names = {"x86-64-v3", "AES", "PCLMUL"};
  const std::pair<bool, const char*> optional[] = {
      {features.sha, "SHA"},           {features.gfni, "GFNI"},           {features.vaes, "VAES"},
      {features.vpclmulqdq, "VPCLMUL"}, {features.avx512vl, "AVX-512"},    {features.invariant_tsc, "invariant TSC"},
  };
  for (const auto& [present, name] : optional) {
    if (present) names.emplace_back(name);
  }
  return names;
}

}  // namespace adyton::engine
