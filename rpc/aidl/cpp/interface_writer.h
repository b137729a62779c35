// Interfaces in C++: the abstract class, its stub, proxy and default.
#pragma once
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/backend.h"
#include "rpc/aidl/cpp/types.h"
#include "rpc/aidl/cpp/writer.h"

namespace adyton::aidl {

class CppInterfaceWriter {
 public:
  CppInterfaceWriter(CppNames& names, Writer& header, Writer& source, const BackendOptions& options)
      : names_(names), header_(header), source_(source), options_(options) {}

  // In the header: `class IFoo : ... {`, then what the class holds behind its nested types and constants.
  void open(const InterfaceDeclaration& interface);
  void members(const InterfaceDeclaration& interface);
  // IFooStub, IFooProxy and IFooDefault, behind the class.
  void companions(const InterfaceDeclaration& interface);
  // All functions, in the .cc file.
  void define(const InterfaceDeclaration& interface);

 private:
  [[nodiscard]] std::vector<std::string> parameters(const Method& method, const InterfaceDeclaration& interface,
                                                    bool named) const;
  void declare_methods(const InterfaceDeclaration& interface, bool pure);
  void define_method_name(const InterfaceDeclaration& interface);
  void define_dispatch(const InterfaceDeclaration& interface);
  void define_case(const Method& method, const InterfaceDeclaration& interface);
  void define_proxy(const InterfaceDeclaration& interface);
  void define_default(const InterfaceDeclaration& interface);
  [[nodiscard]] bool versioned() const { return options_.version.has_value(); }
  [[nodiscard]] bool hashed() const { return versioned() && !options_.hash.empty(); }

  CppNames& names_;
  Writer& header_;
  Writer& source_;
  const BackendOptions& options_;
};

}  // namespace adyton::aidl
