// What `aidlc` does with its command line.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "rpc/aidl/backend.h"
#include "rpc/aidl/options.h"

namespace adyton::aidl {

// Runs one command. Diagnostics go to `diagnostics` as text, whether or not it succeeds; false when one of them is an error. Fails when
// files cannot be written. `backends` are those that --lang can name.
Result<bool> run(const Command& command, const std::vector<std::unique_ptr<Backend>>& backends, std::string& diagnostics);

}  // namespace adyton::aidl
