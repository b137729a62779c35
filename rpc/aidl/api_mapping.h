// Where in .aidl files methods stand, for tools that compare or document APIs. Two lines for each method, in AOSP's form:
//
//   com.example.IFoo|doFoo|int,String,|void
//   com/example/IFoo.aidl:39
#pragma once
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

// Types with qualified names and without annotations.
[[nodiscard]] std::string api_mapping(const std::vector<const Document*>& documents);

}  // namespace adyton::aidl
