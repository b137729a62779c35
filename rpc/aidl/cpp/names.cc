#include "rpc/aidl/cpp/names.h"

#include <algorithm>
#include <array>

#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/language_check.h"

namespace adyton::aidl {
namespace {

// Names that the headers which generated code includes define as macros, and those that GCC predefines or reserves in its gnu
// dialects.
constexpr auto kMacros = std::to_array<std::string_view>({"EOF", "INFINITY", "NAN", "NULL", "TRY", "assert", "errno", "i386", "linux",
                                                          "signals", "slots", "stderr", "stdin", "stdout", "typeof", "unix"});

bool is_deprecated(const Comment& comment) { return comment.deprecated.has_value(); }

template <typename List>
bool any_deprecated(const List& list) {
  return std::any_of(list.begin(), list.end(), [](const auto& item) { return is_deprecated(item.comment); });
}

}  // namespace

std::string escape(std::string_view name) {
  std::string out(name);
  if (is_cpp_keyword(name) || std::ranges::find(kMacros, name) != kMacros.end()) out += '_';
  return out;
}

std::vector<std::string> namespaces(std::string_view package) {
  std::vector<std::string> out;
  while (!package.empty()) {
    const size_t dot = package.find('.');
    const std::string_view part = package.substr(0, dot);
    // `std` and, but for the outermost, `adyton` would hide the namespaces that generated code itself needs.
    const bool hides = part == "std" || (part == "adyton" && !out.empty());
    out.push_back(hides ? std::string(part) + "_" : escape(part));
    package = dot == std::string_view::npos ? std::string_view{} : package.substr(dot + 1);
  }
  return out;
}

std::string namespace_of(std::string_view package) {
  std::string out;
  for (const std::string& part : namespaces(package)) out += (out.empty() ? "" : "::") + part;
  return out;
}

std::string name_in_namespace(const Declaration& declaration) {
  return (declaration.parent != nullptr ? name_in_namespace(*declaration.parent) + "::" : std::string()) +
         escape(declaration.name);
}

std::string base_name(std::string_view interface_name) {
  const bool has_i =
      interface_name.size() >= 2 && interface_name[0] == 'I' && interface_name[1] >= 'A' && interface_name[1] <= 'Z';
  return std::string(has_i ? interface_name.substr(1) : interface_name);
}

const Declaration& outermost(const Declaration& declaration) {
  return declaration.parent != nullptr ? outermost(*declaration.parent) : declaration;
}

std::string file_stem(const Declaration& declaration) {
  const Declaration& outer = outermost(declaration);
  std::string out = outer.package();
  std::replace(out.begin(), out.end(), '.', '/');
  return out.empty() ? outer.name : out + "/" + outer.name;
}

std::string deprecated_attribute(const Comment& comment) {
  if (!is_deprecated(comment)) return {};
  return comment.deprecated->empty() ? "[[deprecated]] " : "[[deprecated(" + string_literal(*comment.deprecated) + ")]] ";
}

bool mentions_deprecated(const Declaration& declaration) {
  if (is_deprecated(declaration.comment)) return true;
  if (const auto* interface = declaration.as_interface()) {
    if (any_deprecated(interface->methods) || any_deprecated(interface->constants)) return true;
  }
  if (const auto* parcelable = declaration.as_parcelable()) {
    if (any_deprecated(parcelable->fields) || any_deprecated(parcelable->constants)) return true;
  }
  if (const auto* union_type = declaration.as_union()) {
    if (any_deprecated(union_type->fields) || any_deprecated(union_type->constants)) return true;
  }
  if (const auto* enumeration = declaration.as_enum()) {
    if (any_deprecated(enumeration->enumerators)) return true;
  }
  return std::any_of(declaration.nested.begin(), declaration.nested.end(),
                     [](const auto& inner) { return mentions_deprecated(*inner); });
}

}  // namespace adyton::aidl
