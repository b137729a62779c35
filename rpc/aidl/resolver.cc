#include "rpc/aidl/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

struct Builtin {
  std::string_view name;
  TypeKind kind;
};
constexpr std::array<Builtin, 16> kBuiltins = {{{"void", TypeKind::kVoid},
                                                {"boolean", TypeKind::kBoolean},
                                                {"byte", TypeKind::kByte},
                                                {"char", TypeKind::kChar},
                                                {"int", TypeKind::kInt},
                                                {"long", TypeKind::kLong},
                                                {"float", TypeKind::kFloat},
                                                {"double", TypeKind::kDouble},
                                                {"String", TypeKind::kString},
                                                {"CharSequence", TypeKind::kCharSequence},
                                                {"IBinder", TypeKind::kIBinder},
                                                {"FileDescriptor", TypeKind::kFileDescriptor},
                                                {"ParcelFileDescriptor", TypeKind::kParcelFileDescriptor},
                                                {"ParcelableHolder", TypeKind::kParcelableHolder},
                                                {"List", TypeKind::kList},
                                                {"Map", TypeKind::kMap}}};

// Names of AIDL's types as Java code imports them. Such imports are allowed, and mean the types themselves.
constexpr std::array<std::string_view, 9> kImportableBuiltins = {
    "android.os.IBinder", "android.os.ParcelFileDescriptor", "android.os.ParcelableHolder", "java.io.FileDescriptor", "java.lang.CharSequence",
    "java.lang.String",   "java.util.List",                  "java.util.Map",               "java.lang.FileDescriptor"};

bool is_importable_builtin(std::string_view name) {
  return std::find(kImportableBuiltins.begin(), kImportableBuiltins.end(), name) != kImportableBuiltins.end();
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }  // npos + 1 is 0

std::string_view first_part(std::string_view name) { return name.substr(0, name.find('.')); }

}  // namespace

TypeKind builtin_type(std::string_view name) {
  const auto found = std::find_if(kBuiltins.begin(), kBuiltins.end(), [&](const Builtin& builtin) { return builtin.name == name; });
  return found == kBuiltins.end() ? TypeKind::kUnresolved : found->kind;
}

void Resolver::resolve(Document& document) {
  document_ = &document;
  imports_.clear();
  used_imports_.clear();
  resolve_imports();
  for (const auto& declaration : document.declarations) resolve(*declaration);
  if (!document.is_input) return;
  for (const Import& import : document.imports) {
    if (import.declaration == nullptr || used_imports_.contains(&import)) continue;
    diagnostics_.warning(Warning::kUnusedImport, import.location, fmt::format("{} is imported and not used", quote(import.name)));
  }
}

void Resolver::resolve_imports() {
  for (Import& import : document_->imports) {
    if (is_importable_builtin(import.name)) continue;
    if (diagnostics_.errors() > Diagnostics::kMaxErrors) return;
    import.declaration = loader_.find(*document_, import.name);
    if (import.declaration == nullptr) {
      diagnostics_.error(import.location, fmt::format("cannot find {} under any import root (-I)", quote(import.name)));
      continue;
    }
    const auto [place, inserted] = imports_.emplace(last_part(import.name), &import);
    if (inserted) continue;
    diagnostics_.error(import.location, fmt::format("{} and {} have the same short name", quote(place->second->name), quote(import.name)));
    diagnostics_.note(place->second->location, "the other is imported here");
  }
}

void Resolver::resolve(Declaration& declaration) {
  resolve(declaration.annotations, declaration);
  const auto resolve_constants = [&](std::vector<Constant>& constants) {
    for (Constant& constant : constants) {
      resolve(constant.type, declaration);
      resolve(constant.annotations, declaration);
      resolve(constant.expression, declaration);
    }
  };
  const auto resolve_fields = [&](std::vector<Field>& fields) {
    for (Field& field : fields) {
      resolve(field.type, declaration);
      resolve(field.annotations, declaration);
      resolve(field.expression, declaration);
    }
  };
  switch (declaration.kind) {
    case Declaration::Kind::kInterface: {
      auto& interface = static_cast<InterfaceDeclaration&>(declaration);
      resolve_constants(interface.constants);
      for (Method& method : interface.methods) {
        resolve(method.annotations, declaration);
        resolve(method.result, declaration);
        for (Argument& argument : method.arguments) resolve(argument.type, declaration);
        if (method.explicit_id) resolve(*method.explicit_id, declaration);
      }
      break;
    }
    case Declaration::Kind::kParcelable: {
      auto& parcelable = static_cast<ParcelableDeclaration&>(declaration);
      resolve_constants(parcelable.constants);
      resolve_fields(parcelable.fields);
      break;
    }
    case Declaration::Kind::kUnion: {
      auto& owner = static_cast<UnionDeclaration&>(declaration);
      resolve_constants(owner.constants);
      resolve_fields(owner.fields);
      break;
    }
    case Declaration::Kind::kEnum:
      for (Enumerator& enumerator : static_cast<EnumDeclaration&>(declaration).enumerators) {
        resolve(enumerator.annotations, declaration);
        resolve(enumerator.expression, declaration);
      }
      break;
    case Declaration::Kind::kUnstructured: break;
  }
  for (const auto& nested : declaration.nested) resolve(*nested);
}

void Resolver::resolve(Annotations& annotations, const Declaration& scope) {
  for (Annotation& annotation : annotations.list) {
    for (Annotation::Parameter& parameter : annotation.parameters) resolve(parameter.expression, scope);
  }
}

void Resolver::resolve(Type& type, const Declaration& scope) {
  if (diagnostics_.errors() > Diagnostics::kMaxErrors) return;  // nobody reads on, and each unknown name asks the disk
  resolve(type.annotations, scope);
  for (Type& argument : type.arguments) resolve(argument, scope);
  for (Type::Dimension& dimension : type.dimensions) resolve(dimension.size_expression, scope);
  type.kind = builtin_type(type.name);
  if (type.kind == TypeKind::kUnresolved && is_importable_builtin(type.name)) {
    type.name = last_part(type.name);
    type.kind = builtin_type(type.name);
  }
  if (type.kind != TypeKind::kUnresolved) return;
  for (const Declaration* around = &scope; around != nullptr; around = around->parent) {
    const auto& parameters = around->type_parameters;
    if (std::find(parameters.begin(), parameters.end(), type.name) == parameters.end()) continue;
    type.kind = TypeKind::kTypeParameter;
    return;
  }
  if (const Declaration* found = find(type.name, scope)) {
    type.kind = TypeKind::kDeclared;
    type.declaration = found;
    return;
  }
  diagnostics_.error(type.location, fmt::format("{} is not the name of a type", quote(type.name)));
}

void Resolver::resolve(Expression& expression, const Declaration& scope) {
  for (Expression::Node& node : expression.nodes) {
    if (node.kind == Expression::Kind::kReference) resolve_reference(node, scope);
  }
}

const std::unordered_map<std::string_view, Resolver::Member>& Resolver::members(Declaration& owner) {
  const auto [place, inserted] = members_.try_emplace(&owner);
  auto& members = place->second;
  if (!inserted) return members;
  const auto add = [&](std::vector<Constant>& constants) {
    for (Constant& constant : constants) members.try_emplace(constant.name, Member{&constant, nullptr});
  };
  switch (owner.kind) {
    case Declaration::Kind::kInterface: add(static_cast<InterfaceDeclaration&>(owner).constants); break;
    case Declaration::Kind::kParcelable: add(static_cast<ParcelableDeclaration&>(owner).constants); break;
    case Declaration::Kind::kUnion: add(static_cast<UnionDeclaration&>(owner).constants); break;
    case Declaration::Kind::kUnstructured: break;
    case Declaration::Kind::kEnum:
      for (Enumerator& enumerator : static_cast<EnumDeclaration&>(owner).enumerators) {
        members.try_emplace(enumerator.name, Member{nullptr, &enumerator});
      }
  }
  return members;
}

bool Resolver::resolve_member(Expression::Node& node, Declaration& owner, std::string_view name) {
  const auto& known = members(owner);
  const auto found = known.find(name);
  if (found == known.end()) return false;
  node.owner = &owner;
  node.constant = found->second.constant;
  node.enumerator = found->second.enumerator;
  if (node.enumerator != nullptr) node.enumeration = static_cast<EnumDeclaration*>(&owner);
  return true;
}

void Resolver::resolve_reference(Expression::Node& node, const Declaration& scope) {
  if (diagnostics_.errors() > Diagnostics::kMaxErrors) return;
  const std::string_view name = node.text;
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) {
    for (auto* around = const_cast<Declaration*>(&scope); around != nullptr; around = around->parent) {
      if (resolve_member(node, *around, name)) return;
    }
    diagnostics_.error(node.location, fmt::format("there is no constant {}", quote(name)));
    return;
  }
  Declaration* owner = find(name.substr(0, dot), scope);
  if (owner == nullptr) {
    diagnostics_.error(node.location, fmt::format("{} is not the name of a type", quote(name.substr(0, dot))));
  } else if (!resolve_member(node, *owner, name.substr(dot + 1))) {
    diagnostics_.error(node.location, fmt::format("{} {} has no constant {}", owner->kind_name(), quote(owner->qualified_name()), quote(name.substr(dot + 1))));
  }
}

Declaration* Resolver::find(std::string_view name, const Declaration& scope) {
  const std::string_view first = first_part(name);
  const std::string_view rest = name.substr(first.size());
  const auto inside = [&](const Declaration& owner, std::string_view path) {
    return loader_.find_declared(owner.qualified_name().append(path));
  };
  for (auto* around = const_cast<Declaration*>(&scope); around != nullptr; around = around->parent) {
    if (around->name == first) {
      if (rest.empty()) return around;
      if (Declaration* found = inside(*around, rest)) return found;
    }
    if (Declaration* found = inside(*around, "." + std::string(name))) return found;
  }
  const std::string in_package = document_->package.empty() ? std::string(name) : document_->package + "." + std::string(name);
  Declaration* found = loader_.find_declared(in_package);
  if (found != nullptr && found->document == document_) return found;
  if (const auto import = imports_.find(first); import != imports_.end()) {
    used_imports_.insert(import->second);
    found = rest.empty() ? const_cast<Declaration*>(import->second->declaration) : inside(*import->second->declaration, rest);
    if (found != nullptr) return found;
  }
  found = loader_.find(*document_, in_package);
  if (found == nullptr && in_package != name) found = loader_.find(*document_, std::string(name));
  if (found == nullptr) return nullptr;
  const auto import = imports_.find(last_part(name));
  if (import != imports_.end() && import->second->declaration == found) used_imports_.insert(import->second);
  return found;
}

}  // namespace adyton::aidl
