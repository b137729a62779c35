// A type as it is used: by a field, an argument, a result, a constant, or as the argument of a generic type.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/aidl/expression.h"
#include "rpc/aidl/source.h"

namespace adyton::aidl {

struct Declaration;

// `@name(parameter=value, ...)`.
struct Annotation {
  struct Parameter {
    std::string name;  // "value" for the short form @name(x)
    Expression expression;
    Value value;
    Location location;
  };
  std::string name;  // without the @
  std::vector<Parameter> parameters;
  Location location;

  // null when it is not given.
  [[nodiscard]] const Parameter* find(std::string_view parameter) const;
  // A string parameter's value; "" when not given.
  [[nodiscard]] std::string string_of(std::string_view parameter) const;
};

struct Annotations {
  std::vector<Annotation> list;
  [[nodiscard]] const Annotation* find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
};

enum class TypeKind : uint8_t {
  kUnresolved,  // never seen by a back end
  kVoid,
  kBoolean,
  kByte,
  kChar,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kString,
  kCharSequence,          // refused for --lang=cpp and --lang=ndk
  kIBinder,
  kFileDescriptor,        // refused for --lang=ndk
  kParcelFileDescriptor,
  kParcelableHolder,
  kList,                  // `arguments` holds the element's type; empty for the raw `List` (refused for C++)
  kMap,                   // refused for --lang=cpp and --lang=ndk
  kDeclared,              // `declaration` says which: an interface, a parcelable (structured or not), a union or an enum
  kTypeParameter,         // of the generic parcelable around it: `name` says which
};

struct Type {
  struct Dimension {
    Expression size_expression;      // empty: []
    std::optional<uint32_t> size;    // none: a dynamic array
    Location location;
  };

  TypeKind kind = TypeKind::kUnresolved;
  std::string name;                            // as written, without arguments and dimensions: "int", "List", "IFoo", "com.example.IFoo.Inner"
  const Declaration* declaration = nullptr;    // kDeclared only
  std::vector<Type> arguments;                 // of a generic type
  // T[] has one without size; T[2][3] has {2}, {3}: an array of two arrays of three. A dynamic array has exactly one dimension.
  std::vector<Dimension> dimensions;
  Annotations annotations;
  // From the annotations. For T[] and List<T> `nullable` is of the container and, in C++, of its elements where they are
  // not primitive or enum (as AOSP's compiler has it). `utf8_in_cpp` of a container is of its String elements.
  bool nullable = false;
  bool nullable_heap = false;                  // @nullable(heap=true); implies nullable
  bool utf8_in_cpp = false;
  Location location;

  [[nodiscard]] bool is_array() const { return !dimensions.empty(); }
  [[nodiscard]] bool is_dynamic_array() const { return is_array() && !dimensions.front().size && dimensions.front().size_expression.empty(); }
  [[nodiscard]] bool is_fixed_array() const { return is_array() && !is_dynamic_array(); }
  [[nodiscard]] bool is_list() const { return kind == TypeKind::kList && !is_array(); }
  [[nodiscard]] bool is_void() const { return kind == TypeKind::kVoid && !is_array(); }
  // boolean, byte, char, int, long, float, double: not an array of them.
  [[nodiscard]] bool is_primitive() const { return !is_array() && kind >= TypeKind::kBoolean && kind <= TypeKind::kDouble; }
  // The type of what an array's outermost dimension or a List holds: T of T[], T[3] of T[2][3], T of List<T>. It keeps utf8_in_cpp, and
  // `nullable` as said above. Only for arrays and Lists with an argument.
  [[nodiscard]] Type element() const;
  // In AIDL's syntax, with the qualified name of a declared type and with annotations: "@nullable(heap=true) com.example.Foo[]".
  [[nodiscard]] std::string to_string(bool with_annotations = true) const;
};

}  // namespace adyton::aidl
