// Parcelables, unions and enums in C++.
#pragma once
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/cpp/types.h"
#include "rpc/aidl/cpp/writer.h"

namespace adyton::aidl {

// What stands in the header, and what in the .cc file behind the namespace's opening. `names` is inside of what surrounds the
// declaration.
class CppDataWriter {
 public:
  CppDataWriter(CppNames& names, Writer& header, Writer& source) : names_(names), header_(header), source_(source) {}

  void define_constants(const std::vector<Constant>& constants, const Declaration& declaration);
  // The members that surround nested types and constants are the caller's: these write one declaration without its nested ones.
  void open(const ParcelableDeclaration& parcelable);
  void members(const ParcelableDeclaration& parcelable);
  void open(const UnionDeclaration& union_type);
  void members(const UnionDeclaration& union_type);
  void define(const EnumDeclaration& enumeration);

  // to_string() of an enum, wherever it is nested: behind the class, in the namespace.
  void declare_to_string(const EnumDeclaration& enumeration, const std::string& name);
  // Its values, behind the namespace.
  void define_values(const EnumDeclaration& enumeration, const std::string& qualified_name);

 private:
  void define_parcelable_functions(const ParcelableDeclaration& parcelable, const std::string& prefix, Writer& out);
  void define_union_functions(const UnionDeclaration& union_type);
  void identity(const Declaration& declaration);
  void constructor(const Declaration& declaration);

  CppNames& names_;
  Writer& header_;
  Writer& source_;
};

// `name` as a member of the class that `declaration` becomes: escaped, and out of the way of what every such class has.
[[nodiscard]] std::string member_name(const std::string& name, const Declaration& declaration);

// "nullable(x)" and "file_descriptor(x)" (rpc/parcelable.h) around `expression` where the type alone does not tell.
[[nodiscard]] std::string formed(const Type& type, const std::string& expression);
// "adyton::rpc::Form::kNullable" or "" for a plain one.
[[nodiscard]] std::string form(const Type& type);

}  // namespace adyton::aidl
