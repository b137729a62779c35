// Statistics as JSON, for the codec in protocol.cc.
#pragma once
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "vmm/control/statistics.h"

namespace adyton::vmm::control {

nlohmann::json to_json(const Statistics& statistics);
// kCorrupt on anything that is not well-formed.
Result<Statistics> decode_statistics(const nlohmann::json& json);

}  // namespace adyton::vmm::control
