// What the language forbids although it parses, and what deserves a warning.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {

class Checker {
 public:
  Checker(Diagnostics& diagnostics, const ProgramOptions& options) : diagnostics_(diagnostics), options_(options) {}
  void check(const Document& document);

 private:
  enum class Use : uint8_t { kResult, kArgument, kField, kUnionField, kConstant, kTypeArgument };

  // checker.cc: declarations
  void check(const Declaration& declaration);
  void check_stability(const Declaration& declaration);
  void check(const InterfaceDeclaration& interface);
  void check(const Method& method, const InterfaceDeclaration& interface);
  void check(const Argument& argument, const Method& method, const InterfaceDeclaration& interface);
  void check_ids(const InterfaceDeclaration& interface);
  void check(const EnumDeclaration& enumeration);
  void check_fields(const std::vector<Field>& fields, const Declaration& owner);
  void check_constants(const std::vector<Constant>& constants, const Declaration& owner);
  void check_member_name(std::string_view name, const Location& location, const Declaration& owner);

  // checker_types.cc: types
  void check(const Type& type, Use use, const Declaration& user);
  void check_array(const Type& type);
  void check_generic(const Type& type, const Declaration& user);
  void check_annotated(const Type& type);
  void check_declared(const Type& type, Use use, const Declaration& user);
  // A parcelable that holds itself by value, through whatever chain, has no size.
  void check_recursion(const Declaration& declaration);
  void check_fixed_size(const Declaration& declaration, const std::vector<Field>& fields);

  void warn(Warning warning, const Location& location, std::initializer_list<const Annotations*> suppressors, const Declaration& scope, std::string message);

  Diagnostics& diagnostics_;
  const ProgramOptions& options_;
  bool is_input_ = false;
  std::unordered_set<const Declaration*> without_recursion_;
  std::unordered_map<const Declaration*, std::unordered_set<std::string_view>> nested_names_;
};

// What arguments of `type` may be besides `in`: arrays, Lists, Maps, parcelables, unions, ParcelFileDescriptor. The first five must say.
[[nodiscard]] bool can_be_out(const Type& type);
[[nodiscard]] bool must_say_direction(const Type& type);

}  // namespace adyton::aidl
