// How types of an .aidl file are spelled in C++ over the Android NDK, as AOSP's `aidl --lang=ndk` does.
#pragma once
#include <string>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/cpp/types.h"

namespace adyton::aidl {

class NdkNames final : public CppNames {
 public:
  explicit NdkNames(std::string package) : CppNames(std::move(package)) {}

  // "::aidl::com::example::IFoo::Inner": always whole.
  [[nodiscard]] std::string declared(const Declaration& declaration) const override;
  [[nodiscard]] std::string argument(const Argument& argument) const override;
  // " = ...", or "{...}" for what has no default of its own.
  [[nodiscard]] std::string field_initializer(const Field& field, const Declaration& holder) const;
  // A local variable.
  [[nodiscard]] std::string variable(const Type& type, const std::string& name, const Declaration& holder) const;

 protected:
  [[nodiscard]] std::string leaf(const Type& type) const override;
  [[nodiscard]] bool has_null(const Type& type) const override;
};

// "aidl::com::example"; "aidl" for no package.
[[nodiscard]] std::string ndk_namespace(std::string_view package);

// "::ndk::AParcel_writeData(parcel, value)", the nullable form where `type` is.
[[nodiscard]] std::string ndk_write(const Type& type, const std::string& parcel, const std::string& value);
[[nodiscard]] std::string ndk_read(const Type& type, const std::string& parcel, const std::string& target);

// "::ndk::STABILITY_VINTF" or "::ndk::STABILITY_LOCAL".
[[nodiscard]] std::string ndk_stability(const Declaration& declaration);

// Method arguments: in_a, out_b; in_ for inout too.
[[nodiscard]] std::string ndk_argument_name(const Argument& argument);

[[nodiscard]] std::string_view ndk_backing(TypeKind kind);

}  // namespace adyton::aidl
