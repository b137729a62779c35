#include "rpc/aidl/ast.h"

namespace adyton::aidl {

std::string Declaration::name_in_package() const { return parent != nullptr ? parent->name_in_package() + "." + name : name; }

std::string Declaration::qualified_name() const { return package().empty() ? name_in_package() : package() + "." + name_in_package(); }

const std::string& Declaration::package() const { return document->package; }

bool Declaration::vintf_stability() const { return annotations.has("VintfStability") || (parent != nullptr && parent->vintf_stability()); }

std::string_view Declaration::kind_name() const {
  switch (kind) {
    case Kind::kInterface: return "interface";
    case Kind::kParcelable:
    case Kind::kUnstructured: return "parcelable";
    case Kind::kUnion: return "union";
    case Kind::kEnum: return "enum";
  }
  return {};
}

const InterfaceDeclaration* Declaration::as_interface() const {
  return kind == Kind::kInterface ? static_cast<const InterfaceDeclaration*>(this) : nullptr;
}
const ParcelableDeclaration* Declaration::as_parcelable() const {
  return kind == Kind::kParcelable ? static_cast<const ParcelableDeclaration*>(this) : nullptr;
}
const UnstructuredDeclaration* Declaration::as_unstructured() const {
  return kind == Kind::kUnstructured ? static_cast<const UnstructuredDeclaration*>(this) : nullptr;
}
const UnionDeclaration* Declaration::as_union() const { return kind == Kind::kUnion ? static_cast<const UnionDeclaration*>(this) : nullptr; }
const EnumDeclaration* Declaration::as_enum() const { return kind == Kind::kEnum ? static_cast<const EnumDeclaration*>(this) : nullptr; }

std::string InterfaceDeclaration::descriptor() const {
  const Annotation* given = annotations.find("Descriptor");
  return given != nullptr ? given->string_of("value") : qualified_name();
}

}  // namespace adyton::aidl
