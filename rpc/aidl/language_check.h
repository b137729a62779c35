// What AIDL allows and C++ cannot say, for either of its back ends: types that only Java has, names that C++ keeps for itself.
#pragma once
#include <string_view>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {

void check_language(const Document& document, Language language, Diagnostics& diagnostics);

[[nodiscard]] bool is_cpp_keyword(std::string_view name);

}  // namespace adyton::aidl
