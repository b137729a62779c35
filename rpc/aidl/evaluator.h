// Computes constant expressions by AOSP's rules: an integer literal has the smallest of 8, 32 and 64 bits that hold it (hexadecimal: 32 or
// 64, wrapping), binary operators promote to 32 bits at least, and whatever overflows is an error.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"

namespace adyton::aidl {

// The id of a method whose explicit one is wrong, which has been reported.
inline constexpr uint32_t kNoMethodId = UINT32_MAX;

class Evaluator {
 public:
  // The longest string, and how much all values of a run may take up together: small files can describe very large values.
  static constexpr size_t kMaxString = size_t{64} << 10;
  static constexpr size_t kMaxTotal = size_t{64} << 20;

  explicit Evaluator(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // `expression`, resolved, as a value of `type`. Unknown when it has none, which has been reported.
  Value evaluate(const Expression& expression, const Type& type);
  // As an integer, whatever its size.
  std::optional<int64_t> evaluate_integer(const Expression& expression);
  // Sets the values of constants, fields, enumerators and array sizes, and the ids of methods.
  void evaluate(Document& document);

 private:
  // A value before it is converted to a type.
  struct Raw {
    enum class Kind : uint8_t { kError, kBoolean, kInt8, kInt32, kInt64, kFloating, kCharacter, kString, kArray };
    Kind kind = Kind::kError;
    int64_t integer = 0;   // of booleans, integers and characters
    std::string text;      // a string's content, a floating-point literal with its sign
    const EnumDeclaration* enumeration = nullptr;  // when it is nothing but an enumerator
    const Enumerator* enumerator = nullptr;
    std::vector<Raw> elements;

    [[nodiscard]] bool is_integral() const { return kind >= Kind::kBoolean && kind <= Kind::kInt64; }
  };
  // What can refer to others: a constant, or an enumerator.
  struct Item {
    Constant* constant = nullptr;
    EnumDeclaration* enumeration = nullptr;
    Enumerator* enumerator = nullptr;
    [[nodiscard]] const void* key() const { return constant != nullptr ? static_cast<const void*>(constant) : enumerator; }
    [[nodiscard]] const Expression& expression() const;
    [[nodiscard]] const Enumerator* previous() const;  // whose value plus 1 it has, when it has no expression
  };
  struct Frame {
    Item item;
    size_t node = 0;  // the next one to look at for a dependency
  };

  void evaluate(Declaration& declaration);
  void evaluate(Type& type);
  void evaluate(EnumDeclaration& enumeration);
  void evaluate(InterfaceDeclaration& interface);
  void evaluate_constants(std::vector<Constant>& constants);
  void evaluate_fields(std::vector<Field>& fields);

  // Computes `item` and what it depends on.
  void ensure(const Item& item);
  void ensure_references(const Expression& expression);
  Raw compute(const Item& item);
  Raw compute(const Expression& expression);
  Raw compute(const Expression::Node& node, std::vector<Raw>& results);
  Raw reference(const Expression::Node& node);
  Raw integer_literal(const Expression::Node& node);
  Raw unary(const Expression::Node& node, Raw operand);
  Raw binary(const Expression::Node& node, Raw left, Raw right);
  Raw shift(const Expression::Node& node, const Raw& left, const Raw& right);
  Raw overflow(const Expression::Node& node);
  bool charge(size_t amount, const Location& location);

  Value convert(Raw raw, const Type& type, const Location& location);
  Value convert_integer(const Raw& raw, TypeKind kind, const Location& location);
  Value convert_floating(const Raw& raw, TypeKind kind, const Location& location);
  Value convert_array(Raw raw, const Type& type, const Location& location);
  static std::string describe(const Raw& raw);

  Diagnostics& diagnostics_;
  std::unordered_map<const void*, Raw> done_;
  std::unordered_set<const void*> in_progress_;
  size_t charged_ = 0;
  bool overcharged_ = false;
};

}  // namespace adyton::aidl
