// How names of an .aidl file are spelled in C++.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

// `name`, with an underscore behind it if C++ or its headers keep it for themselves ("delete", "linux", "errno").
[[nodiscard]] std::string escape(std::string_view name);

// "com.example.foo" -> {"com", "example", "foo"}, escaped. Empty for an empty package.
[[nodiscard]] std::vector<std::string> namespaces(std::string_view package);

// "com::example"; "" for an empty package.
[[nodiscard]] std::string namespace_of(std::string_view package);

// "IFoo::Inner", escaped: a declaration's name inside of its package.
[[nodiscard]] std::string name_in_namespace(const Declaration& declaration);

// IFoo -> Foo; Foo -> Foo. What AOSP's compiler puts Bn and Bp in front of.
[[nodiscard]] std::string base_name(std::string_view interface_name);

// "com/example/IFoo": path of the file that holds `declaration`, which is that of its outermost parent.
[[nodiscard]] std::string file_stem(const Declaration& declaration);
[[nodiscard]] const Declaration& outermost(const Declaration& declaration);

// [[deprecated("...")]] with a space behind it, or nothing.
[[nodiscard]] std::string deprecated_attribute(const Comment& comment);
// Whether anything in the declaration is deprecated, nested types too.
[[nodiscard]] bool mentions_deprecated(const Declaration& declaration);

}  // namespace adyton::aidl
