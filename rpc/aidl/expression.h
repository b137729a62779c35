// Constant expressions as written, and the values they have.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "rpc/aidl/source.h"

namespace adyton::aidl {

struct Constant;
struct Declaration;
struct EnumDeclaration;
struct Enumerator;

// What an expression is worth once it has been converted to the type of the constant, field, enumerator or parameter that it initialises.
// A fixed-size or dynamic array and a List hold a vector, of vectors for further dimensions.
struct Value {
  // An enumerator, where the type asked for is its enum.
  struct EnumValue {
    const EnumDeclaration* type = nullptr;
    const Enumerator* enumerator = nullptr;
    bool operator==(const EnumValue&) const = default;
  };
  // monostate: not evaluated (yet), or wrong and reported.
  // bool: boolean; int8_t: byte; char16_t: char; int32_t, int64_t: int, long; float, double; string: String (UTF-8), escapes resolved.
  std::variant<std::monostate, bool, int8_t, char16_t, int32_t, int64_t, float, double, std::string, EnumValue, std::vector<Value>> data;

  [[nodiscard]] bool known() const { return !std::holds_alternative<std::monostate>(data); }
  template <typename T>
  [[nodiscard]] const T* get() const {
    return std::get_if<T>(&data);
  }
  // Any of the integer alternatives, an enumerator or a boolean, as a number; 0 for the others.
  [[nodiscard]] int64_t as_integer() const;
  bool operator==(const Value&) const = default;
};

// An expression, flat: nodes in post-order, so that an operand stands before its operator and the last node is the root. No walk over it
// recurses, however deep a hostile file nests it.
struct Expression {
  enum class Kind : uint8_t {
    kBoolean,    // text: true, false
    kCharacter,  // text with its quotes
    kInteger,    // text with prefix and suffix
    kFloating,   // text with suffix
    kString,     // text with its quotes
    kReference,  // text: a constant's or enumerator's name, dotted
    kUnary,      // text: the operator
    kBinary,     // text: the operator
    kArray,      // {a, b, ...}
    kParenthesis,
  };
  struct Node {
    Kind kind = Kind::kInteger;
    std::string text;
    std::vector<uint32_t> operands;  // indexes of nodes before this one
    Location location;
    // What a reference names, once resolved: a constant or an enumerator, and the declaration that has it.
    const Declaration* owner = nullptr;
    Constant* constant = nullptr;
    EnumDeclaration* enumeration = nullptr;
    Enumerator* enumerator = nullptr;
  };

  std::vector<Node> nodes;
  Location location;

  [[nodiscard]] bool empty() const { return nodes.empty(); }
  [[nodiscard]] const Node& root() const { return nodes.back(); }
  [[nodiscard]] bool is_literal() const { return nodes.size() == 1 && root().kind <= Kind::kString; }
  // In AIDL's syntax, as --dumpapi prints it: operators in parentheses, references to other declarations with their qualified names.
  [[nodiscard]] std::string to_string() const;
};

}  // namespace adyton::aidl
