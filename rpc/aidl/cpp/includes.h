// What a generated header needs of others.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

class CppIncludes {
 public:
  // Collects what the header of `declaration`, an outermost one, names.
  explicit CppIncludes(const Declaration& declaration);

  // "<vector>" ...
  [[nodiscard]] const std::set<std::string>& standard() const { return standard_; }
  void add_standard(const std::string& header) { standard_.insert(header); }
  // Paths of ours and of other files' types, in front of the code.
  [[nodiscard]] const std::set<std::string>& before() const { return before_; }
  void add(const std::string& path) { before_.insert(path); }
  // Of types that need us complete first, while we only name them: behind the code.
  [[nodiscard]] const std::set<std::string>& behind() const { return behind_; }
  // Interfaces that a forward declaration is enough for, and types of behind(); sorted by namespace and name.
  [[nodiscard]] const std::map<std::string, std::set<std::string>>& forward() const { return forward_; }
  // Headers of the interfaces in forward(), for the .cc file.
  [[nodiscard]] const std::set<std::string>& objects() const { return objects_; }
  // Whether some type named is deprecated, or has something in it that is.
  [[nodiscard]] bool deprecated() const { return deprecated_; }

 private:
  void visit(const Declaration& declaration);
  void visit(const Type& type, bool in_field);
  void name(const Declaration& declaration, bool complete);
  void finish();

  const Declaration& self_;
  std::set<std::string> standard_;
  std::set<std::string> before_;
  std::set<std::string> behind_;
  std::map<std::string, std::set<std::string>> forward_;
  std::set<std::string> objects_;
  struct Use {
    bool complete = false;  // somewhere its size or its members matter
    std::set<const Declaration*> types;
  };
  std::map<const Declaration*, Use> uses_;  // by outermost declaration
  bool deprecated_ = false;
};

// The nested declarations of `declaration`, so that what others hold by value comes before them.
[[nodiscard]] std::vector<const Declaration*> in_order_of_definition(const Declaration& declaration);

// Whether nested structs need a default constructor that is defined elsewhere. Within the outermost class the compiler does not
// know the initializers of their members yet, so that a variant there would take them for types without default constructor.
[[nodiscard]] bool needs_constructors(const Declaration& outermost);

// Calls `function(type, in_field)` for every type that is used in `declaration` and what is nested in it.
template <typename Function>
void for_each_type(const Declaration& declaration, const Function& function) {
  const auto constants = [&](const auto& list) {
    for (const Constant& constant : list) function(constant.type, true);
  };
  const auto fields = [&](const auto& list) {
    for (const Field& field : list) function(field.type, true);
  };
  if (const auto* interface = declaration.as_interface()) {
    constants(interface->constants);
    for (const Method& method : interface->methods) {
      function(method.result, false);
      for (const Argument& argument : method.arguments) function(argument.type, false);
    }
  } else if (const auto* parcelable = declaration.as_parcelable()) {
    constants(parcelable->constants);
    fields(parcelable->fields);
  } else if (const auto* union_type = declaration.as_union()) {
    constants(union_type->constants);
    fields(union_type->fields);
  }
  for (const auto& nested : declaration.nested) for_each_type(*nested, function);
}

}  // namespace adyton::aidl
