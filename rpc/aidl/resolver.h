// Gives every type its declaration and every reference in an expression its constant or enumerator.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/loader.h"

namespace adyton::aidl {

class Resolver {
 public:
  Resolver(Loader& loader, Diagnostics& diagnostics) : loader_(loader), diagnostics_(diagnostics) {}
  // May make the loader read further documents.
  void resolve(Document& document);

 private:
  void resolve_imports();
  void resolve(Declaration& declaration);
  void resolve(Type& type, const Declaration& scope);
  void resolve(Annotations& annotations, const Declaration& scope);
  void resolve(Expression& expression, const Declaration& scope);
  void resolve_reference(Expression::Node& node, const Declaration& scope);
  bool resolve_member(Expression::Node& node, Declaration& owner, std::string_view name);
  // The constants and enumerators of `owner` by name: a hostile file has very many.
  struct Member {
    Constant* constant = nullptr;
    Enumerator* enumerator = nullptr;
  };
  const std::unordered_map<std::string_view, Member>& members(Declaration& owner);
  // What `name`, plain or dotted, means inside `scope`: its own nested types and those of what it stands in, the document's, the imported,
  // the package's, and at last a qualified name.
  Declaration* find(std::string_view name, const Declaration& scope);

  Loader& loader_;
  Diagnostics& diagnostics_;
  Document* document_ = nullptr;
  std::unordered_map<std::string_view, Import*> imports_;  // of the document, by short name
  std::unordered_set<const Import*> used_imports_;
  std::unordered_map<const Declaration*, std::unordered_map<std::string_view, Member>> members_;
};

// AIDL's own types; kUnresolved when `name` is none of them.
[[nodiscard]] TypeKind builtin_type(std::string_view name);

}  // namespace adyton::aidl
