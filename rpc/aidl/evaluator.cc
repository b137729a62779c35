#include "rpc/aidl/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>

#include "rpc/aidl/parser.h"

namespace adyton::aidl {

const Expression& Evaluator::Item::expression() const { return constant != nullptr ? constant->expression : enumerator->expression; }

const Enumerator* Evaluator::Item::previous() const {
  const bool counts_on = enumerator != nullptr && enumerator->expression.empty() && enumerator != enumeration->enumerators.data();
  return counts_on ? enumerator - 1 : nullptr;
}

bool Evaluator::charge(size_t amount, const Location& location) {
  charged_ += amount;
  if (charged_ <= kMaxTotal) return true;
  if (!overcharged_) diagnostics_.error(location, fmt::format("the constants together take more than {} MiB", kMaxTotal >> 20));
  overcharged_ = true;
  return false;
}

// --- Dependencies ---

void Evaluator::ensure(const Item& root) {
  std::vector<Frame> stack{{root}};
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const Item item = frame.item;
    if (done_.contains(item.key())) {
      stack.pop_back();
      continue;
    }
    in_progress_.insert(item.key());
    Item dependency;
    Location where = item.constant != nullptr ? item.constant->location : item.enumerator->location;
    const auto& nodes = item.expression().nodes;
    if (const Enumerator* previous = item.previous(); previous != nullptr && !done_.contains(previous)) {
      dependency = {nullptr, item.enumeration, const_cast<Enumerator*>(previous)};
    }
    for (; dependency.key() == nullptr && frame.node < nodes.size(); ++frame.node) {
      const Expression::Node& node = nodes[frame.node];
      const Item named{node.constant, node.enumeration, node.enumerator};
      if (named.key() == nullptr || done_.contains(named.key())) continue;
      dependency = named;
      where = node.location;
    }
    if (dependency.key() == nullptr) {
      done_.emplace(item.key(), compute(item));
    } else if (!in_progress_.contains(dependency.key())) {
      stack.push_back({dependency});
      continue;
    } else {
      diagnostics_.error(where, fmt::format("{} depends on itself", quote(dependency.constant != nullptr ? dependency.constant->name : dependency.enumerator->name)));
      done_.emplace(item.key(), Raw{});
    }
    in_progress_.erase(item.key());
    stack.pop_back();
  }
}

void Evaluator::ensure_references(const Expression& expression) {
  for (const Expression::Node& node : expression.nodes) {
    const Item named{node.constant, node.enumeration, node.enumerator};
    if (named.key() != nullptr) ensure(named);
  }
}

// --- Computing ---

Evaluator::Raw Evaluator::compute(const Item& item) {
  if (!item.expression().empty()) return compute(item.expression());
  Raw raw;
  raw.kind = Raw::Kind::kInt32;
  const Enumerator* previous = item.previous();
  if (previous == nullptr) return raw;
  const Raw& before = done_.at(previous);
  if (!before.is_integral()) return {};
  if (before.integer == std::numeric_limits<int64_t>::max()) {
    diagnostics_.error(item.enumerator->location, fmt::format("the value of {} overflows", quote(item.enumerator->name)));
    return {};
  }
  raw.integer = before.integer + 1;
  if (raw.integer > std::numeric_limits<int32_t>::max() || raw.integer < std::numeric_limits<int32_t>::min()) raw.kind = Raw::Kind::kInt64;
  return raw;
}

Evaluator::Raw Evaluator::compute(const Expression& expression) {
  if (expression.empty()) return {};
  std::vector<Raw> results;
  results.reserve(expression.nodes.size());
  for (const Expression::Node& node : expression.nodes) {
    Raw raw = compute(node, results);
    results.push_back(std::move(raw));
  }
  return std::move(results.back());
}

Evaluator::Raw Evaluator::compute(const Expression::Node& node, std::vector<Raw>& results) {
  Raw raw;
  switch (node.kind) {
    case Expression::Kind::kBoolean:
      raw.kind = Raw::Kind::kBoolean;
      raw.integer = node.text == "true";
      return raw;
    case Expression::Kind::kCharacter:
      if (node.text.size() != 3) return {};  // the lexer has complained
      raw.kind = Raw::Kind::kCharacter;
      raw.integer = static_cast<unsigned char>(node.text[1]);
      return raw;
    case Expression::Kind::kInteger: return integer_literal(node);
    case Expression::Kind::kFloating:
      raw.kind = Raw::Kind::kFloating;
      raw.text = node.text;
      return raw;
    case Expression::Kind::kString:
      if (node.text.size() < 2 || node.text.back() != '"') return {};
      if (node.text.size() - 2 > kMaxString) {
        diagnostics_.error(node.location, fmt::format("a string has more than {} characters", kMaxString));
        return {};
      }
      if (!charge(node.text.size(), node.location)) return {};
      raw.kind = Raw::Kind::kString;
      raw.text = node.text.substr(1, node.text.size() - 2);
      return raw;
    case Expression::Kind::kReference: return reference(node);
    case Expression::Kind::kUnary: return unary(node, std::move(results[node.operands[0]]));
    case Expression::Kind::kBinary: return binary(node, std::move(results[node.operands[0]]), std::move(results[node.operands[1]]));
    case Expression::Kind::kParenthesis: return std::move(results[node.operands[0]]);
    case Expression::Kind::kArray:
      raw.kind = Raw::Kind::kArray;
      if (!charge(sizeof(Value) * node.operands.size(), node.location)) return {};
      raw.elements.reserve(node.operands.size());
      for (const uint32_t operand : node.operands) {
        raw.elements.push_back(std::move(results[operand]));
        if (raw.elements.back().kind == Raw::Kind::kError) return {};
      }
      return raw;
  }
  return {};
}

Evaluator::Raw Evaluator::reference(const Expression::Node& node) {
  const Item named{node.constant, node.enumeration, node.enumerator};
  if (named.key() == nullptr) return {};  // the resolver has complained
  const auto known = done_.find(named.key());
  if (known == done_.end()) return {};
  // An array's elements, nested ones too, are at most what was charged for it; strings are charged by length.
  std::vector<const Raw*> left{&known->second};
  size_t size = 0;
  while (!left.empty()) {
    const Raw& raw = *left.back();
    left.pop_back();
    size += raw.text.size() + sizeof(Value);
    for (const Raw& element : raw.elements) left.push_back(&element);
  }
  if ((!known->second.elements.empty() || !known->second.text.empty()) && !charge(size, node.location)) return {};
  Raw raw = known->second;
  if (node.enumerator != nullptr) {
    raw.enumeration = node.enumeration;
    raw.enumerator = node.enumerator;
    // The tags of a union have their values from the start.
    if (node.enumeration->parent != nullptr && node.enumeration->parent->as_union() != nullptr && node.enumerator->expression.empty() &&
        node.enumeration->parent->as_union()->tag.get() == node.enumeration) {
      raw.integer = node.enumerator->value;
    }
  }
  return raw;
}

Evaluator::Raw Evaluator::integer_literal(const Expression::Node& node) {
  std::string_view digits = node.text;
  Raw raw;
  const auto bad = [&](std::string message) {
    diagnostics_.error(node.location, std::move(message));
    return Raw{};
  };
  const bool as_byte = digits.ends_with("u8");
  if (as_byte) digits.remove_suffix(2);
  const bool as_long = digits.ends_with('l') || digits.ends_with('L');
  if (as_long) digits.remove_suffix(1);
  const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
  if (hex) digits.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (end != digits.data() + digits.size() && error == std::errc()) return {};  // the lexer has complained
  if (error == std::errc::invalid_argument) return {};
  const uint64_t limit = as_byte ? 0xff : hex ? std::numeric_limits<uint64_t>::max() : uint64_t{std::numeric_limits<int64_t>::max()};
  if (error != std::errc() || value > limit) return bad(fmt::format("{} does not fit {}", quote(node.text), as_byte ? "8 bits" : "64 bits"));
  if (as_byte) {
    raw.kind = Raw::Kind::kInt8;
    raw.integer = static_cast<int8_t>(value);
  } else if (hex) {
    const bool small = !as_long && value <= std::numeric_limits<uint32_t>::max();
    raw.kind = small ? Raw::Kind::kInt32 : Raw::Kind::kInt64;
    raw.integer = small ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
  } else {
    raw.integer = static_cast<int64_t>(value);
    raw.kind = as_long || value > uint64_t{std::numeric_limits<int32_t>::max()} ? Raw::Kind::kInt64
               : value > uint64_t{std::numeric_limits<int8_t>::max()}           ? Raw::Kind::kInt32
                                                                                : Raw::Kind::kInt8;
  }
  return raw;
}

Evaluator::Raw Evaluator::overflow(const Expression::Node& node) {
  diagnostics_.error(node.location, "the value of this expression overflows");
  return {};
}

Evaluator::Raw Evaluator::unary(const Expression::Node& node, Raw operand) {
  if (operand.kind == Raw::Kind::kError) return operand;
  operand.enumeration = nullptr;
  operand.enumerator = nullptr;
  const char op = node.text[0];
  if (operand.kind == Raw::Kind::kFloating && (op == '+' || op == '-')) {
    if (op == '-') operand.text = operand.text.starts_with('-') ? operand.text.substr(1) : "-" + operand.text;
    return operand;
  }
  if (!operand.is_integral()) {
    diagnostics_.error(node.location, fmt::format("'{}' cannot be applied to {}", node.text, describe(operand)));
    return {};
  }
  switch (op) {
    case '!':
      operand.kind = Raw::Kind::kBoolean;
      operand.integer = operand.integer == 0;
      break;
    case '~':
      if (operand.kind == Raw::Kind::kBoolean) {
        diagnostics_.error(node.location, "'~' of a boolean is always true");
        return {};
      }
      operand.integer = ~operand.integer;
      break;
    case '-': {
      const int64_t lowest = operand.kind == Raw::Kind::kInt8    ? std::numeric_limits<int8_t>::min()
                             : operand.kind == Raw::Kind::kInt32 ? std::numeric_limits<int32_t>::min()
                                                                 : std::numeric_limits<int64_t>::min();
      if (operand.integer == lowest) return overflow(node);
      if (operand.kind != Raw::Kind::kBoolean) operand.integer = -operand.integer;
      break;
    }
    default: break;
  }
  return operand;
}

Evaluator::Raw Evaluator::binary(const Expression::Node& node, Raw left, Raw right) {
  if (left.kind == Raw::Kind::kError || right.kind == Raw::Kind::kError) return {};
  const std::string& op = node.text;
  if (left.kind == Raw::Kind::kString && right.kind == Raw::Kind::kString && op == "+") {
    if (left.text.size() + right.text.size() > kMaxString) {
      diagnostics_.error(node.location, fmt::format("a string has more than {} characters", kMaxString));
      return {};
    }
    left.text += right.text;
    return left;
  }
  if (!left.is_integral() || !right.is_integral()) {
    diagnostics_.error(node.location, fmt::format("'{}' cannot be applied to {} and {}", op, describe(left), describe(right)));
    return {};
  }
  if (op == "<<" || op == ">>") return shift(node, left, right);
  Raw raw;
  raw.kind = Raw::Kind::kBoolean;
  const int64_t a = left.integer;
  const int64_t b = right.integer;
  if (op == "&&") raw.integer = a != 0 && b != 0;
  else if (op == "||") raw.integer = a != 0 || b != 0;
  else if (op == "==") raw.integer = a == b;
  else if (op == "!=") raw.integer = a != b;
  else if (op == "<") raw.integer = a < b;
  else if (op == "<=") raw.integer = a <= b;
  else if (op == ">") raw.integer = a > b;
  else if (op == ">=") raw.integer = a >= b;
  else {
    raw.kind = std::max({left.kind, right.kind, Raw::Kind::kInt32});
    bool bad = false;
    switch (op[0]) {
      case '+': bad = __builtin_add_overflow(a, b, &raw.integer); break;
      case '-': bad = __builtin_sub_overflow(a, b, &raw.integer); break;
      case '*': bad = __builtin_mul_overflow(a, b, &raw.integer); break;
      case '&': raw.integer = a & b; break;
      case '|': raw.integer = a | b; break;
      case '^': raw.integer = a ^ b; break;
      default:
        if (b == 0) {
          diagnostics_.error(node.location, "division by zero");
          return {};
        }
        bad = a == std::numeric_limits<int64_t>::min() && b == -1;
        if (!bad) raw.integer = op[0] == '/' ? a / b : a % b;
        // What the operands' own width cannot hold overflows, of the remainder too.
        if (raw.kind == Raw::Kind::kInt32 && a == std::numeric_limits<int32_t>::min() && b == -1) bad = true;
    }
    if (raw.kind == Raw::Kind::kInt32 && (raw.integer > std::numeric_limits<int32_t>::max() || raw.integer < std::numeric_limits<int32_t>::min())) bad = true;
    if (bad) return overflow(node);
  }
  return raw;
}

// By a negative number of bits it is the other direction, as AOSP has it; of negative numbers, and out of the width, it overflows.
Evaluator::Raw Evaluator::shift(const Expression::Node& node, const Raw& left, const Raw& right) {
  Raw raw;
  raw.kind = std::max({left.kind, right.kind, Raw::Kind::kInt32});
  const int64_t width = raw.kind == Raw::Kind::kInt32 ? 32 : 64;
  if (right.integer <= -width || right.integer >= width || left.integer < 0) return overflow(node);
  const bool to_left = (node.text == "<<") == (right.integer >= 0);
  const int64_t bits = right.integer < 0 ? -right.integer : right.integer;
  if (!to_left) {
    raw.integer = left.integer >> bits;
    return raw;
  }
  const auto value = static_cast<uint64_t>(left.integer);
  const int64_t free = std::countl_zero(value) - (64 - width);
  if (bits > free) return overflow(node);
  const uint64_t shifted = value << bits;
  raw.integer = width == 32 ? static_cast<int32_t>(static_cast<uint32_t>(shifted)) : static_cast<int64_t>(shifted);
  return raw;
}

std::string Evaluator::describe(const Raw& raw) {
  switch (raw.kind) {
    case Raw::Kind::kBoolean: return "a boolean";
    case Raw::Kind::kInt8:
    case Raw::Kind::kInt32:
    case Raw::Kind::kInt64: return raw.enumerator != nullptr ? fmt::format("an enumerator of {}", quote(raw.enumeration->qualified_name())) : "an integer";
    case Raw::Kind::kFloating: return "a floating-point number";
    case Raw::Kind::kCharacter: return "a character";
    case Raw::Kind::kString: return "a string";
    case Raw::Kind::kArray: return "an array";
    case Raw::Kind::kError: break;
  }
  return "nothing";
}

}  // namespace adyton::aidl
