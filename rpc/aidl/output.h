// The files that the compiler writes besides generated code.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "rpc/aidl/ast.h"
#include "rpc/aidl/backend.h"

namespace adyton::aidl {

// A rule that has `outputs` depend on `inputs`: for ninja of the last output alone, for make of all, with an empty rule for each input, so
// that a removed file is no error.
[[nodiscard]] std::string dependency_rules(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs, bool ninja);

// The interfaces of `documents` as JSON, nested ones too: {"DESCRIPTOR": {"CODE": "METHOD", ...}, ...}, for who reads transactions off the wire.
[[nodiscard]] std::string method_map(const std::vector<const Document*>& documents, const BackendOptions& options);

// Makes the directories of `path` and the file; a file that has that text already keeps its time. Never leaves half a file.
Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace adyton::aidl
