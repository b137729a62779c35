// Interfaces over the Android NDK: IFoo, IFooDefault, BnFoo, IFooDelegator, BpFoo.
#pragma once
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/backend.h"
#include "rpc/aidl/cpp/writer.h"
#include "rpc/aidl/ndk/ndk_types.h"

namespace adyton::aidl {

class NdkInterfaceWriter {
 public:
  NdkInterfaceWriter(const NdkNames& names, const BackendOptions& options) : names_(names), options_(options) {}

  // `class IFoo : ... {` to where nested types stand, and what stands behind them.
  void open(const InterfaceDeclaration& interface, Writer& header) const;
  void members(const InterfaceDeclaration& interface, Writer& header) const;
  void default_class(const InterfaceDeclaration& interface, Writer& header) const;
  void stub_class(const InterfaceDeclaration& interface, Writer& header) const;
  void delegator_class(const InterfaceDeclaration& interface, Writer& header) const;
  void proxy_class(const InterfaceDeclaration& interface, Writer& header) const;
  // All functions.
  void define(const InterfaceDeclaration& interface, Writer& source) const;

 private:
  struct Signature {
    std::string name;
    std::vector<std::string> parameters;  // with names
    std::vector<std::string> types;
    std::vector<std::string> arguments;  // their names
  };
  [[nodiscard]] Signature signature(const Method& method) const;
  void declare(const InterfaceDeclaration& interface, Writer& header, bool pure) const;
  void define_on_transact(const InterfaceDeclaration& interface, Writer& source) const;
  void define_case(const Method& method, const InterfaceDeclaration& interface, Writer& source) const;
  void define_proxy(const InterfaceDeclaration& interface, Writer& source) const;
  void define_proxy_method(const Method& method, const InterfaceDeclaration& interface, Writer& source) const;
  void define_remembered(const InterfaceDeclaration& interface, Writer& source) const;
  void define_interface(const InterfaceDeclaration& interface, Writer& source) const;
  void define_default(const InterfaceDeclaration& interface, Writer& source) const;
  [[nodiscard]] bool versioned() const { return options_.version.has_value(); }
  [[nodiscard]] bool hashed() const { return versioned() && !options_.hash.empty(); }

  const NdkNames& names_;
  const BackendOptions& options_;
};

// "BnFoo", "IOuter::BnInner": the class beside an interface.
[[nodiscard]] std::string ndk_companion(const InterfaceDeclaration& interface, std::string_view prefix);

}  // namespace adyton::aidl
