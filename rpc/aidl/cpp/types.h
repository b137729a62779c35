// How types of an .aidl file are spelled in C++ over our runtime (docs/aidl.md).
#pragma once
#include <set>
#include <string>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

// From where a name is looked up: a file of `package`, inside of `scope` (null: at namespace level).
class CppNames {
 public:
  explicit CppNames(std::string package) : package_(std::move(package)) {}
  virtual ~CppNames() = default;

  // For a class that is being written: names are then looked up in it first.
  void enter(const Declaration& declaration);
  void leave();

  // "IFoo::Inner" for what is in the same package, "::com::other::IFoo" for the rest.
  [[nodiscard]] virtual std::string declared(const Declaration& declaration) const;
  // With the namespace in any case: for text outside of it.
  [[nodiscard]] static std::string qualified(const Declaration& declaration);

  // The type of a value, field or result: std::optional<std::vector<Foo>>.
  [[nodiscard]] std::string value(const Type& type) const;
  // The type of an argument, by its direction.
  [[nodiscard]] virtual std::string argument(const Argument& argument) const;
  [[nodiscard]] std::string reply(const Type& result) const;  // adyton::rpc::Reply<Foo>

  // A value of `type` as an initializer.
  [[nodiscard]] std::string literal(const Type& type, const Value& value) const;
  // " = ...", or nothing where the type's own default will do.
  [[nodiscard]] std::string initializer(const Field& field) const;

 protected:
  // Without dimensions and optional around it.
  [[nodiscard]] virtual std::string leaf(const Type& type) const;
  // Whether such values can be null without being in an optional.
  [[nodiscard]] virtual bool has_null(const Type& type) const;

 private:
  [[nodiscard]] std::string wrap(const Type& type, const std::string& plain) const;
  [[nodiscard]] bool hidden(const std::string& name, const Declaration& target) const;

  std::string package_;
  std::vector<const Declaration*> scopes_;
};

// Objects: interfaces and IBinder. std::shared_ptr, which may be null by itself.
[[nodiscard]] bool is_object(const Type& type);
[[nodiscard]] bool is_enum(const Type& type);
// What C++ passes by value: primitives and enums.
[[nodiscard]] bool is_scalar(const Type& type);
// By itself, or as every method of its interface is.
[[nodiscard]] inline bool is_oneway(const Method& method, const InterfaceDeclaration& interface) {
  return method.oneway || interface.oneway;
}

}  // namespace adyton::aidl
