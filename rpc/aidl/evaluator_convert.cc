// The second half of the evaluator: from computed values to values of types, and the walk over a document.
#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "rpc/aidl/evaluator.h"
#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

struct Range {
  int64_t lowest;
  int64_t highest;
};

Range range_of(TypeKind kind) {
  switch (kind) {
    case TypeKind::kByte: return {std::numeric_limits<int8_t>::min(), std::numeric_limits<int8_t>::max()};
    case TypeKind::kInt: return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    default: return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
}

std::string_view name_of(TypeKind kind) { return kind == TypeKind::kByte ? "byte" : kind == TypeKind::kInt ? "int" : "long"; }

}  // namespace

Value Evaluator::evaluate(const Expression& expression, const Type& type) {
  ensure_references(expression);
  return convert(compute(expression), type, expression.location);
}

std::optional<int64_t> Evaluator::evaluate_integer(const Expression& expression) {
  ensure_references(expression);
  const Raw raw = compute(expression);
  if (raw.kind == Raw::Kind::kError) return std::nullopt;
  if (raw.is_integral() && raw.kind != Raw::Kind::kBoolean) return raw.integer;
  diagnostics_.error(expression.location, fmt::format("expected an integer, found {}", describe(raw)));
  return std::nullopt;
}

Value Evaluator::convert(Raw raw, const Type& type, const Location& location) {
  if (raw.kind == Raw::Kind::kError || type.kind == TypeKind::kUnresolved) return {};
  if (type.is_array() || (type.is_list() && type.arguments.size() == 1)) return convert_array(std::move(raw), type, location);
  const auto mismatch = [&]() -> Value {
    diagnostics_.error(location, fmt::format("expected a value of type {}, found {}", quote(type.to_string(false)), describe(raw)));
    return {};
  };
  switch (type.kind) {
    case TypeKind::kBoolean: return raw.is_integral() ? Value{raw.integer != 0} : mismatch();
    case TypeKind::kByte:
    case TypeKind::kInt:
    case TypeKind::kLong: return raw.is_integral() ? convert_integer(raw, type.kind, location) : mismatch();
    case TypeKind::kChar: return raw.kind == Raw::Kind::kCharacter ? Value{static_cast<char16_t>(raw.integer)} : mismatch();
    case TypeKind::kFloat:
    case TypeKind::kDouble: return raw.kind == Raw::Kind::kFloating ? convert_floating(raw, type.kind, location) : mismatch();
    case TypeKind::kString: return raw.kind == Raw::Kind::kString ? Value{std::move(raw.text)} : mismatch();
    case TypeKind::kDeclared:
      if (type.declaration->as_enum() == nullptr) break;
      if (raw.enumerator == nullptr || raw.enumeration != type.declaration) return mismatch();
      return Value{Value::EnumValue{raw.enumeration, raw.enumerator}};
    default: break;
  }
  diagnostics_.error(location, fmt::format("a value of type {} cannot be written as a constant", quote(type.to_string(false))));
  return {};
}

Value Evaluator::convert_integer(const Raw& raw, TypeKind kind, const Location& location) {
  const Range range = range_of(kind);
  if (raw.integer < range.lowest || raw.integer > range.highest) {
    diagnostics_.error(location, fmt::format("{} does not fit {} ({} to {})", raw.integer, name_of(kind), range.lowest, range.highest));
    return {};
  }
  if (kind == TypeKind::kByte) return {static_cast<int8_t>(raw.integer)};
  if (kind == TypeKind::kInt) return {static_cast<int32_t>(raw.integer)};
  return {raw.integer};
}

Value Evaluator::convert_floating(const Raw& raw, TypeKind kind, const Location& location) {
  std::string_view text = raw.text;
  const bool as_float = text.ends_with('f');
  if (as_float) text.remove_suffix(1);
  if (kind == TypeKind::kFloat && !as_float) {
    diagnostics_.error(location, fmt::format("a value of type 'float' needs the suffix f: {}f", text.substr(0, 80)));
    return {};
  }
  // from_chars knows no locale, and rounds correctly to the type asked for.
  const auto parse = [&](auto number) -> Value {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return {number};
    diagnostics_.error(location, fmt::format("{} does not fit {}", quote(raw.text), kind == TypeKind::kFloat ? "float" : "double"));
    return {};
  };
  return kind == TypeKind::kFloat ? parse(0.0F) : parse(0.0);
}

Value Evaluator::convert_array(Raw raw, const Type& type, const Location& location) {
  if (raw.kind != Raw::Kind::kArray) {
    diagnostics_.error(location, fmt::format("expected a value of type {}, found {}", quote(type.to_string(false)), describe(raw)));
    return {};
  }
  if (type.is_fixed_array() && type.dimensions.front().size && *type.dimensions.front().size != raw.elements.size()) {
    diagnostics_.error(location, fmt::format("expected {} elements for {}, found {}", *type.dimensions.front().size, quote(type.to_string(false)),
                                             raw.elements.size()));
    return {};
  }
  const Type element_type = type.element();
  std::vector<Value> elements;
  elements.reserve(raw.elements.size());
  for (Raw& element : raw.elements) {
    elements.push_back(convert(std::move(element), element_type, location));
    if (!elements.back().known()) return {};
  }
  return {std::move(elements)};
}

// --- The walk ---

void Evaluator::evaluate(Document& document) {
  for (const auto& declaration : document.declarations) evaluate(*declaration);
}

void Evaluator::evaluate(Declaration& declaration) {
  switch (declaration.kind) {
    case Declaration::Kind::kInterface: evaluate(static_cast<InterfaceDeclaration&>(declaration)); break;
    case Declaration::Kind::kParcelable: {
      auto& parcelable = static_cast<ParcelableDeclaration&>(declaration);
      evaluate_constants(parcelable.constants);
      evaluate_fields(parcelable.fields);
      break;
    }
    case Declaration::Kind::kUnion: {
      auto& owner = static_cast<UnionDeclaration&>(declaration);
      evaluate_constants(owner.constants);
      evaluate_fields(owner.fields);
      break;
    }
    case Declaration::Kind::kEnum: evaluate(static_cast<EnumDeclaration&>(declaration)); break;
    case Declaration::Kind::kUnstructured: break;
  }
  for (const auto& nested : declaration.nested) evaluate(*nested);
}

void Evaluator::evaluate(Type& type) {
  for (Type& argument : type.arguments) evaluate(argument);
  for (Type::Dimension& dimension : type.dimensions) {
    if (dimension.size_expression.empty()) continue;
    const auto size = evaluate_integer(dimension.size_expression);
    if (!size) continue;
    if (*size < 1 || *size > std::numeric_limits<int32_t>::max()) {
      diagnostics_.error(dimension.size_expression.location, fmt::format("an array cannot have {} elements", *size));
      continue;
    }
    dimension.size = static_cast<uint32_t>(*size);
  }
}

void Evaluator::evaluate(EnumDeclaration& enumeration) {
  const Range range = range_of(enumeration.backing);
  for (Enumerator& enumerator : enumeration.enumerators) {
    ensure({nullptr, &enumeration, &enumerator});
    const Raw& raw = done_.at(&enumerator);
    const Location& where = enumerator.expression.empty() ? enumerator.location : enumerator.expression.location;
    if (raw.kind == Raw::Kind::kError) continue;
    if (!raw.is_integral()) {
      diagnostics_.error(where, fmt::format("expected an integer, found {}", describe(raw)));
      continue;
    }
    enumerator.value = raw.integer;
    if (raw.integer >= range.lowest && raw.integer <= range.highest) continue;
    diagnostics_.error(where, fmt::format("the value of {}, {}, does not fit the enum's backing type {} ({} to {})", quote(enumerator.name),
                                          raw.integer, name_of(enumeration.backing), range.lowest, range.highest));
    if (!enumeration.annotations.has("Backing")) diagnostics_.note(enumeration.location, "annotate the enum with @Backing(type=\"int\")");
  }
}

void Evaluator::evaluate(InterfaceDeclaration& interface) {
  evaluate_constants(interface.constants);
  uint32_t next_id = 0;
  for (Method& method : interface.methods) {
    evaluate(method.result);
    for (Argument& argument : method.arguments) evaluate(argument.type);
    if (!method.explicit_id) {
      method.id = next_id++;
      continue;
    }
    method.id = kNoMethodId;
    const auto id = evaluate_integer(*method.explicit_id);
    if (!id) continue;
    if (*id < 0 || *id > int64_t{kMaxMethodId}) {
      diagnostics_.error(method.explicit_id->location, fmt::format("{} cannot be the id of a method: ids are 0 to {}", *id, kMaxMethodId));
      continue;
    }
    method.id = static_cast<uint32_t>(*id);
  }
}

void Evaluator::evaluate_constants(std::vector<Constant>& constants) {
  for (Constant& constant : constants) {
    evaluate(constant.type);
    ensure({&constant});
    constant.value = convert(done_.at(&constant), constant.type, constant.expression.location);
  }
}

void Evaluator::evaluate_fields(std::vector<Field>& fields) {
  for (Field& field : fields) {
    evaluate(field.type);
    if (!field.expression.empty()) field.default_value = evaluate(field.expression, field.type);
  }
}

}  // namespace adyton::aidl
