#include "rpc/aidl/cpp/includes.h"

#include <algorithm>
#include <functional>

#include "rpc/aidl/cpp/names.h"
#include "rpc/aidl/cpp/types.h"

namespace adyton::aidl {
namespace {

// Calls `function` with every declaration that a value of `type` is made of; `complete` says whether it must be defined before.
// Vectors and pointers take what is only declared.
void for_each_part(const Type& type, bool complete, const std::function<void(const Declaration&, bool)>& function) {
  if (type.is_dynamic_array() || type.kind == TypeKind::kList || type.nullable_heap) complete = false;
  // A template cannot be declared forward without repeating it; what it is made of is in it by value.
  const bool generic = type.kind == TypeKind::kDeclared && !type.arguments.empty();
  if (type.declaration != nullptr) function(*type.declaration, complete || generic);
  for (const Type& argument : type.arguments) for_each_part(argument, complete && generic, function);
}

// Whether the header of `from` needs, in front of its code, that of `to`.
bool reaches(const Declaration& from, const Declaration& to, std::set<const Declaration*>& seen) {
  if (&from == &to) return true;
  if (!seen.insert(&from).second) return false;
  bool found = false;
  for_each_type(from, [&](const Type& type, bool in_field) {
    for_each_part(type, in_field, [&](const Declaration& part, bool) {
      const bool forward = part.kind == Declaration::Kind::kInterface && part.parent == nullptr;
      if (!found && !forward) found = reaches(outermost(part), to, seen);
    });
  });
  return found;
}

}  // namespace

CppIncludes::CppIncludes(const Declaration& declaration) : self_(declaration) {
  visit(declaration);
  finish();
}

void CppIncludes::visit(const Declaration& declaration) {
  for_each_type(declaration, [&](const Type& type, bool in_field) { visit(type, in_field); });
}

void CppIncludes::visit(const Type& type, bool in_field) {
  if (type.is_fixed_array()) standard_.insert("<array>");
  if (type.is_dynamic_array() || type.kind == TypeKind::kList) standard_.insert("<vector>");
  if (type.nullable && !is_object(type)) standard_.insert(type.nullable_heap ? "<memory>" : "<optional>");
  switch (type.kind) {
    case TypeKind::kString: standard_.insert("<string>"); break;
    case TypeKind::kIBinder:
      standard_.insert("<memory>");
      before_.insert("rpc/binder.h");
      break;
    case TypeKind::kFileDescriptor:
    case TypeKind::kParcelFileDescriptor: before_.insert("base/unique_fd.h"); break;
    case TypeKind::kParcelableHolder: before_.insert("rpc/parcelable_holder.h"); break;
    default: break;
  }
  for (const Type& argument : type.arguments) visit(argument, in_field && type.kind != TypeKind::kList);
  if (type.kind != TypeKind::kList) {
    for_each_part(type, in_field, [&](const Declaration& part, bool complete) { name(part, complete); });
  }
}

void CppIncludes::name(const Declaration& declaration, bool complete) {
  deprecated_ = deprecated_ || mentions_deprecated(declaration);
  const bool object = declaration.kind == Declaration::Kind::kInterface;
  if (object) standard_.insert("<memory>");
  const Declaration& outer = outermost(declaration);
  if (&outer == &self_) return;
  Use& use = uses_[&outer];
  use.types.insert(&declaration);
  // Only classes at namespace level can be declared forward.
  const bool declarable = declaration.parent == nullptr && declaration.kind != Declaration::Kind::kEnum &&
                          declaration.kind != Declaration::Kind::kUnstructured && declaration.type_parameters.empty();
  use.complete = use.complete || !declarable || (complete && !object);
}

void CppIncludes::finish() {
  for (const auto& [outer, use] : uses_) {
    if (const auto* unstructured = outer->as_unstructured()) {
      before_.insert(unstructured->cpp_header);
      continue;
    }
    const std::string header = file_stem(*outer) + ".h";
    const bool object = outer->kind == Declaration::Kind::kInterface;
    std::set<const Declaration*> seen;
    const bool only_named = !use.complete && (object || reaches(*outer, self_, seen));
    if (!only_named) {
      before_.insert(header);
      continue;
    }
    forward_[namespace_of(outer->package())].insert((object ? "class " : "struct ") + escape(outer->name));
    (object ? objects_ : behind_).insert(header);
  }
}

bool needs_constructors(const Declaration& declaration) {
  const Declaration& root = outermost(declaration);
  const std::function<bool(const Type&)> names_nested = [&](const Type& type) {
    const Declaration* named = type.declaration;
    const bool data = named != nullptr && (named->as_parcelable() != nullptr || named->as_union() != nullptr);
    if (data && named->parent != nullptr && &outermost(*named) == &root) return true;
    return std::any_of(type.arguments.begin(), type.arguments.end(), names_nested);
  };
  const std::function<bool(const Declaration&)> search = [&](const Declaration& each) {
    const auto* union_type = each.as_union();
    if (union_type != nullptr && std::any_of(union_type->fields.begin(), union_type->fields.end(),
                                             [&](const Field& field) { return names_nested(field.type); })) {
      return true;
    }
    return std::any_of(each.nested.begin(), each.nested.end(), [&](const auto& nested) { return search(*nested); });
  };
  return search(root);
}

std::vector<const Declaration*> in_order_of_definition(const Declaration& declaration) {
  std::vector<const Declaration*> out;
  std::set<const Declaration*> seen;
  // The sibling that `inner` is or is nested in.
  const auto sibling = [&](const Declaration* inner) {
    while (inner != nullptr && inner->parent != &declaration) inner = inner->parent;
    return inner;
  };
  const std::function<void(const Declaration*)> place = [&](const Declaration* nested) {
    if (!seen.insert(nested).second) return;
    for_each_type(*nested, [&](const Type& type, bool in_field) {
      for_each_part(type, in_field, [&](const Declaration& part, bool complete) {
        const Declaration* other = sibling(&part);
        const bool declared_is_enough = !complete && part.parent == &declaration && part.kind != Declaration::Kind::kEnum;
        if (other != nullptr && other != nested && !declared_is_enough) place(other);
      });
    });
    out.push_back(nested);
  };
  for (const auto& nested : declaration.nested) place(nested.get());
  return out;
}

}  // namespace adyton::aidl
