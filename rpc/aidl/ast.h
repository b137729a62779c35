// The declarations of an .aidl file.
//
// The parser makes this tree, Program::check() resolves names in it, evaluates constants and refuses what the language forbids. A back
// end only ever sees a tree that has passed: every Type has its kind and declaration, every Value is known, every method its code.
//
// Nesting of declarations is bounded by the parser (kMaxNesting), so walks over them may recurse; expressions are flat.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/aidl/expression.h"
#include "rpc/aidl/source.h"
#include "rpc/aidl/type.h"

namespace adyton::aidl {

// How deep types may be declared in types, generic arguments in arguments, parentheses in parentheses.
inline constexpr unsigned kMaxNesting = 64;

// A method's code is kFirstCallTransaction + its id. Ids 0 to kMaxMethodId are for methods in files.
inline constexpr uint32_t kFirstCallTransaction = 0x00000001;
inline constexpr uint32_t kLastCallTransaction = 0x00ffffff;
inline constexpr uint32_t kGetInterfaceVersionId = kLastCallTransaction - kFirstCallTransaction;
inline constexpr uint32_t kGetInterfaceHashId = kGetInterfaceVersionId - 1;
inline constexpr uint32_t kGetTransactionNameId = kGetInterfaceVersionId - 2;
inline constexpr uint32_t kMaxMethodId = kGetInterfaceVersionId - 100;

// The documentation in front of a declaration.
struct Comment {
  std::string text;                       // the block or lines as written, with their comment marks; empty: none
  std::optional<std::string> deprecated;  // the sentence behind @deprecated; "" when there is none
  bool hidden = false;                    // it has @hide
};

struct Document;
struct InterfaceDeclaration;
struct ParcelableDeclaration;
struct UnstructuredDeclaration;
struct UnionDeclaration;
struct EnumDeclaration;

struct Declaration {
  enum class Kind : uint8_t { kInterface, kParcelable, kUnstructured, kUnion, kEnum };

  virtual ~Declaration() = default;

  Kind kind;
  std::string name;                              // "IFoo"
  Annotations annotations;
  Comment comment;
  std::vector<std::string> type_parameters;      // of a generic parcelable: {"T", "U"}
  std::vector<std::unique_ptr<Declaration>> nested;  // in file order. Not in enums and unstructured parcelables
  const Document* document = nullptr;
  Declaration* parent = nullptr;                 // the declaration it is nested in, or null
  Location location;                             // of its name

  // "com.example.IFoo", "com.example.IFoo.Nested".
  [[nodiscard]] std::string qualified_name() const;
  // "IFoo", "IFoo.Nested".
  [[nodiscard]] std::string name_in_package() const;
  [[nodiscard]] const std::string& package() const;
  [[nodiscard]] bool vintf_stability() const;  // @VintfStability on it or on what it is nested in
  // "interface", "parcelable", "union", "enum".
  [[nodiscard]] std::string_view kind_name() const;

  // Null when it is of another kind.
  [[nodiscard]] const InterfaceDeclaration* as_interface() const;
  [[nodiscard]] const ParcelableDeclaration* as_parcelable() const;
  [[nodiscard]] const UnstructuredDeclaration* as_unstructured() const;
  [[nodiscard]] const UnionDeclaration* as_union() const;
  [[nodiscard]] const EnumDeclaration* as_enum() const;

 protected:
  explicit Declaration(Kind which) : kind(which) {}
};

// `const TYPE NAME = VALUE;` in an interface, parcelable or union. Of primitive type, String or an enum, or an array of these.
struct Constant {
  Type type;
  std::string name;
  Expression expression;
  Value value;
  Annotations annotations;
  Comment comment;
  Location location;
};

struct Argument {
  enum class Direction : uint8_t { kIn, kOut, kInOut };
  Direction direction = Direction::kIn;
  bool direction_given = false;  // in the file
  Type type;
  std::string name;
  Location location;

  [[nodiscard]] bool is_in() const { return direction != Direction::kOut; }
  [[nodiscard]] bool is_out() const { return direction != Direction::kIn; }
};

struct Method {
  Type result;
  std::string name;
  std::vector<Argument> arguments;  // the order on the wire
  bool oneway = false;              // its own or its interface's
  std::optional<Expression> explicit_id;
  uint32_t id = 0;
  Annotations annotations;          // of the method; those of the result's type (@nullable, @utf8InCpp) are in result.annotations
  Comment comment;
  Location location;

  // What travels as the transaction's code.
  [[nodiscard]] uint32_t code() const { return kFirstCallTransaction + id; }
};

struct InterfaceDeclaration final : Declaration {
  InterfaceDeclaration() : Declaration(Kind::kInterface) {}
  bool oneway = false;  // as a whole
  std::vector<Method> methods;
  std::vector<Constant> constants;

  // What stands in the interface token: @Descriptor's value or the qualified name.
  [[nodiscard]] std::string descriptor() const;
};

struct Field {
  Type type;
  std::string name;
  Expression expression;  // empty: no default given
  Value default_value;    // unknown when no default is given
  Annotations annotations;
  Comment comment;
  Location location;
};

// `parcelable NAME { ... }`.
struct ParcelableDeclaration final : Declaration {
  ParcelableDeclaration() : Declaration(Kind::kParcelable) {}
  std::vector<Field> fields;  // the order on the wire
  std::vector<Constant> constants;
};

// `parcelable NAME cpp_header "..." ndk_header "..." rust_type "...";`: hand-written elsewhere.
struct UnstructuredDeclaration final : Declaration {
  UnstructuredDeclaration() : Declaration(Kind::kUnstructured) {}
  std::string cpp_header;
  std::string ndk_header;
  std::string rust_type;
};

struct Enumerator {
  std::string name;
  Expression expression;  // empty: the previous one's value plus 1, or 0
  int64_t value = 0;      // fits the backing type
  Annotations annotations;
  Comment comment;
  Location location;
};

struct EnumDeclaration final : Declaration {
  EnumDeclaration() : Declaration(Kind::kEnum) {}
  TypeKind backing = TypeKind::kByte;  // kByte, kInt or kLong: @Backing(type="...")
  std::vector<Enumerator> enumerators;
};

// `union NAME { ... }`. The first field is the default one.
struct UnionDeclaration final : Declaration {
  UnionDeclaration() : Declaration(Kind::kUnion) {}
  std::vector<Field> fields;  // a field's tag is its index
  std::vector<Constant> constants;
  // The implicit enum NAME.Tag, one enumerator per field, so that other files can refer to it. Not in `nested`: back ends make it as
  // part of the union.
  std::unique_ptr<EnumDeclaration> tag;
};

struct Import {
  std::string name;  // qualified
  const Declaration* declaration = nullptr;  // what it names
  Location location;
};

// One file.
struct Document {
  const SourceFile* file = nullptr;
  std::string comment;    // in front of the package: usually a licence
  std::string package;  // may be empty
  std::vector<Import> imports;
  std::vector<std::unique_ptr<Declaration>> declarations;  // usually one
  bool is_input = false;  // named on the command line, not only imported

  [[nodiscard]] const std::string& path() const { return file->path(); }
};

}  // namespace adyton::aidl
