// The API of a file in a canonical form, as --dumpapi writes it: no bodies of comments but @hide and @deprecated, no imports, qualified
// names, methods before fields before constants before nested types. A frozen version of an interface is a directory of such files.
#pragma once
#include <string>
#include <string_view>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

// One declaration with what is nested in it, as a file of its own.
[[nodiscard]] std::string dump_file(const Declaration& declaration);
// Without the head of the file: what two versions are compared by.
[[nodiscard]] std::string dump_declaration(const Declaration& declaration);
// "com/example/IFoo.aidl".
[[nodiscard]] std::string dump_path(const Declaration& declaration);

// A value in AIDL's syntax: 3, 1.5f, "text", {1, 2}, com.example.E.A.
[[nodiscard]] std::string value_text(const Value& value);

}  // namespace adyton::aidl
