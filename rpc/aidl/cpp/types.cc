#include "rpc/aidl/cpp/types.h"

#include <fmt/format.h>

#include <algorithm>

#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {

bool is_enum(const Type& type) {
  return !type.is_array() && type.kind == TypeKind::kDeclared && type.declaration->kind == Declaration::Kind::kEnum;
}

bool is_object(const Type& type) {
  if (type.is_array()) return false;
  return type.kind == TypeKind::kIBinder ||
         (type.kind == TypeKind::kDeclared && type.declaration->kind == Declaration::Kind::kInterface);
}

bool is_scalar(const Type& type) { return type.is_primitive() || is_enum(type); }

void CppNames::enter(const Declaration& declaration) { scopes_.push_back(&declaration); }
void CppNames::leave() { scopes_.pop_back(); }

// Whether a class that we are in has something else by that name.
bool CppNames::hidden(const std::string& name, const Declaration& target) const {
  const auto named = [&](const auto& item) { return item.name == name; };
  const auto any = [&](const auto& list) { return std::any_of(list.begin(), list.end(), named); };
  return std::any_of(scopes_.begin(), scopes_.end(), [&](const Declaration* scope) {
    const bool inner = std::any_of(scope->nested.begin(), scope->nested.end(),
                                   [&](const auto& nested) { return nested->name == name && nested.get() != &target; });
    if (inner) return true;
    if (std::find(scope->type_parameters.begin(), scope->type_parameters.end(), name) != scope->type_parameters.end())
      return true;
    if (const auto* interface = scope->as_interface()) return any(interface->methods) || any(interface->constants);
    if (const auto* parcelable = scope->as_parcelable()) return any(parcelable->fields) || any(parcelable->constants);
    if (const auto* union_type = scope->as_union()) return name == "Tag" || any(union_type->constants);
    return false;
  });
}

std::string CppNames::qualified(const Declaration& declaration) {
  const std::string package = namespace_of(declaration.package());
  return (package.empty() ? "::" : "::" + package + "::") + name_in_namespace(declaration);
}

std::string CppNames::declared(const Declaration& declaration) const {
  const Declaration& outer = outermost(declaration);
  if (declaration.package() != package_ || hidden(outer.name, outer)) return qualified(declaration);
  // Inside of a class, what is nested in it needs no more than its own name.
  for (size_t i = scopes_.size(); i-- > 0;) {
    if (declaration.parent == scopes_[i] && !hidden(declaration.name, declaration)) return escape(declaration.name);
  }
  return name_in_namespace(declaration);
}

std::string CppNames::leaf(const Type& type) const {
  switch (type.kind) {
    case TypeKind::kVoid: return "void";
    case TypeKind::kBoolean: return "bool";
    case TypeKind::kByte: return type.is_array() ? "uint8_t" : "int8_t";
    case TypeKind::kChar: return "char16_t";
    case TypeKind::kInt: return "int32_t";
    case TypeKind::kLong: return "int64_t";
    case TypeKind::kFloat: return "float";
    case TypeKind::kDouble: return "double";
    case TypeKind::kString: return "std::string";
    case TypeKind::kIBinder: return "std::shared_ptr<adyton::rpc::Binder>";
    case TypeKind::kFileDescriptor:
    case TypeKind::kParcelFileDescriptor: return "adyton::UniqueFd";
    case TypeKind::kParcelableHolder: return "adyton::rpc::ParcelableHolder";
    case TypeKind::kTypeParameter: return escape(type.name);
    case TypeKind::kList: return fmt::format("std::vector<{}>", value(type.element()));
    case TypeKind::kDeclared: {
      std::string name = declared(*type.declaration);
      if (!type.arguments.empty()) {
        name += '<';
        for (const Type& argument : type.arguments) name += (&argument == &type.arguments.front() ? "" : ", ") + value(argument);
        name += '>';
      }
      return type.declaration->kind == Declaration::Kind::kInterface ? fmt::format("std::shared_ptr<{}>", name) : name;
    }
    default: return "void";  // refused by the front end
  }
}

bool CppNames::has_null(const Type& type) const { return is_object(type); }

// `plain`, made optional if the type is nullable and has no null of its own.
std::string CppNames::wrap(const Type& type, const std::string& plain) const {
  if (!type.nullable || is_scalar(type) || has_null(type) || type.kind == TypeKind::kTypeParameter) return plain;
  return fmt::format("{}<{}>", type.nullable_heap ? "std::unique_ptr" : "std::optional", plain);
}

std::string CppNames::value(const Type& type) const {
  if (!type.is_array()) return wrap(type, leaf(type));
  // What an array holds: its element is optional with it, inner arrays are not.
  Type element = type;
  element.dimensions.clear();
  const bool byte = element.kind == TypeKind::kByte;
  std::string text = byte ? "uint8_t" : wrap(element, leaf(element));
  for (size_t i = type.dimensions.size(); i-- > 0;) {
    const auto& size = type.dimensions[i].size;
    text = size ? fmt::format("std::array<{}, {}>", text, *size) : fmt::format("std::vector<{}>", text);
  }
  return type.nullable ? fmt::format("std::optional<{}>", text) : text;
}

std::string CppNames::argument(const Argument& argument) const {
  const Type& type = argument.type;
  if (argument.is_out()) return value(type) + "*";
  if (is_scalar(type)) return value(type);
  const bool packed =
      type.is_dynamic_array() && !type.nullable && type.element().is_primitive() && type.kind != TypeKind::kBoolean;
  if (packed) return fmt::format("std::span<const {}>", leaf(type));
  return fmt::format("const {}&", value(type));
}

std::string CppNames::reply(const Type& result) const {
  return result.is_void() ? "adyton::rpc::Reply<>" : fmt::format("adyton::rpc::Reply<{}>", value(result));
}

std::string CppNames::literal(const Type& type, const Value& value) const {
  const auto text = [&](const auto& item) -> std::string {
    using T = std::decay_t<decltype(item)>;
    if constexpr (std::is_same_v<T, std::monostate>) {
      return "{}";
    } else if constexpr (std::is_same_v<T, bool>) {
      return item ? "true" : "false";
    } else if constexpr (std::is_same_v<T, int8_t>) {
      // byte[] is an array of uint8_t.
      return std::to_string(type.is_array() ? static_cast<uint8_t>(item) : static_cast<int>(item));
    } else if constexpr (std::is_same_v<T, char16_t>) {
      return char16_literal(item);
    } else if constexpr (std::is_same_v<T, int32_t>) {
      return int32_literal(item);
    } else if constexpr (std::is_same_v<T, int64_t>) {
      return int64_literal(item);
    } else if constexpr (std::is_same_v<T, float>) {
      return float_literal(item);
    } else if constexpr (std::is_same_v<T, double>) {
      return double_literal(item);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::string quoted = string_literal(item);
      return item.find('\0') == std::string::npos ? quoted : fmt::format("{{{}, {}}}", quoted, item.size());
    } else if constexpr (std::is_same_v<T, Value::EnumValue>) {
      return fmt::format("{}::{}", declared(*item.type), escape(item.enumerator->name));
    } else {
      // Elements keep their array's type as far as the spelling of bytes goes.
      std::string list;
      for (const Value& element : item) list += (list.empty() ? "" : ", ") + literal(type, element);
      const bool nested = !item.empty() && item.front().template get<std::vector<Value>>() != nullptr;
      return nested ? "{{" + list + "}}" : "{" + list + "}";
    }
  };
  return std::visit(text, value.data);
}

std::string CppNames::initializer(const Field& field) const {
  const Type& type = field.type;
  if (field.default_value.known()) {
    std::string text = literal(type, field.default_value);
    if (!text.starts_with('{')) return " = " + text;
    if (text == "{}") return type.is_fixed_array() ? " = {}" : "";
    if (!type.nullable) return " = " + text;
    // An optional is not made of a list: name what is in it.
    std::string whole = value(type);
    whole = whole.substr(whole.find('<') + 1);
    whole.pop_back();
    return fmt::format(" = {}{}", whole, text);
  }
  if (type.is_fixed_array() && !type.nullable) return " = {}";
  if (is_enum(type)) return " = {}";
  if (type.kind == TypeKind::kBoolean && !type.is_array()) return " = false";
  if (type.is_primitive()) return " = 0";
  return "";
}

}  // namespace adyton::aidl
