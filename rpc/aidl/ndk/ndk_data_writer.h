// Parcelables, unions and enums over the Android NDK.
#pragma once
#include <string>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/cpp/writer.h"
#include "rpc/aidl/ndk/ndk_types.h"

namespace adyton::aidl {

class NdkDataWriter {
 public:
  NdkDataWriter(const NdkNames& names, Writer& header, Writer& source) : names_(names), header_(header), source_(source) {}

  // In the header, inside of the class; strings and functions in the .cpp file.
  void constants(const std::vector<Constant>& constants, const Declaration& declaration);
  // From `class P {` to where nested types stand, and what stands behind them.
  void open(const Declaration& declaration);
  void members(const ParcelableDeclaration& parcelable);
  void members(const UnionDeclaration& union_type);
  void define(const EnumDeclaration& enumeration);
  // Behind the outermost class, in its namespace: `name` is the enum's inside of that.
  void define_to_string(const EnumDeclaration& enumeration, const std::string& name);
  // Behind the namespace.
  void define_values(const EnumDeclaration& enumeration, const std::string& qualified_name);

 private:
  void comparisons(const Declaration& declaration, const std::vector<std::string>& members);
  void parcelable_functions(const ParcelableDeclaration& parcelable);
  void union_functions(const UnionDeclaration& union_type);

  const NdkNames& names_;
  Writer& header_;
  Writer& source_;
};

}  // namespace adyton::aidl
