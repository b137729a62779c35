#include "rpc/aidl/ndk/ndk_types.h"

#include <fmt/format.h>

#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {

std::string ndk_namespace(std::string_view package) { return package.empty() ? "aidl" : "aidl::" + namespace_of(package); }

std::string NdkNames::declared(const Declaration& declaration) const {
  return "::" + ndk_namespace(declaration.package()) + "::" + name_in_namespace(declaration);
}

std::string NdkNames::leaf(const Type& type) const {
  switch (type.kind) {
    case TypeKind::kIBinder: return "::ndk::SpAIBinder";
    case TypeKind::kParcelFileDescriptor: return "::ndk::ScopedFileDescriptor";
    case TypeKind::kParcelableHolder: return "::ndk::AParcelableHolder";
    default: return CppNames::leaf(type);
  }
}

bool NdkNames::has_null(const Type& type) const { return is_object(type) || type.kind == TypeKind::kParcelFileDescriptor; }

std::string NdkNames::argument(const Argument& argument) const {
  if (argument.is_out()) return value(argument.type) + "*";
  return is_scalar(argument.type) ? value(argument.type) : fmt::format("const {}&", value(argument.type));
}

std::string NdkNames::field_initializer(const Field& field, const Declaration& holder) const {
  const bool plain_holder = field.type.kind == TypeKind::kParcelableHolder && !field.type.is_array() && !field.type.nullable;
  return plain_holder ? fmt::format("{{{}}}", ndk_stability(holder)) : initializer(field);
}

std::string NdkNames::variable(const Type& type, const std::string& name, const Declaration& holder) const {
  const bool plain_holder = type.kind == TypeKind::kParcelableHolder && !type.is_array() && !type.nullable;
  if (plain_holder) return fmt::format("{} {}({});", value(type), name, ndk_stability(holder));
  return fmt::format("{} {}{};", value(type), name, is_scalar(type) || type.is_fixed_array() ? "{}" : "");
}

std::string ndk_write(const Type& type, const std::string& parcel, const std::string& value) {
  return fmt::format("::ndk::AParcel_write{}Data({}, {})", type.nullable ? "Nullable" : "", parcel, value);
}

std::string ndk_read(const Type& type, const std::string& parcel, const std::string& target) {
  return fmt::format("::ndk::AParcel_read{}Data({}, {})", type.nullable ? "Nullable" : "", parcel, target);
}

std::string ndk_stability(const Declaration& declaration) {
  return declaration.vintf_stability() ? "::ndk::STABILITY_VINTF" : "::ndk::STABILITY_LOCAL";
}

std::string ndk_argument_name(const Argument& argument) {
  return (argument.direction == Argument::Direction::kOut ? "out_" : "in_") + argument.name;
}

std::string_view ndk_backing(TypeKind kind) {
  return kind == TypeKind::kByte ? "int8_t" : kind == TypeKind::kLong ? "int64_t" : "int32_t";
}

}  // namespace adyton::aidl
