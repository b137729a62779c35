#include "rpc/aidl/expression.h"

#include "rpc/aidl/ast.h"
#include "rpc/aidl/operators.h"

namespace adyton::aidl {

int64_t Value::as_integer() const {
  return std::visit(
      [](const auto& value) -> int64_t {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_integral_v<T>) {
          return static_cast<int64_t>(value);
        } else if constexpr (std::is_same_v<T, EnumValue>) {
          return value.enumerator != nullptr ? value.enumerator->value : 0;
        } else {
          return 0;
        }
      },
      data);
}

// What is left to print is a stack of nodes and pieces of text: nesting costs no stack of ours, size no more than its own length.
std::string Expression::to_string() const {
  if (nodes.empty()) return {};
  struct Piece {
    const Node* node = nullptr;
    int precedence = 0;  // what binds weaker stands in parentheses
    std::string_view text;
  };
  // A dump shows at a glance where an expression ends: "(1 << 4)". A very long one stays as it is, so that parentheses of ours never
  // nest deeper than the parser allows.
  constexpr size_t kLongest = 100;
  std::vector<Piece> left{{&nodes.back(), nodes.size() <= kLongest ? kUnaryPrecedence + 1 : 0, {}}};
  std::string out;
  const auto open = [&](int precedence, int needed) {
    if (precedence >= needed) return;
    out += '(';
    left.push_back({nullptr, 0, ")"});
  };
  while (!left.empty()) {
    const Piece piece = left.back();
    left.pop_back();
    if (piece.node == nullptr) {
      out += piece.text;
      continue;
    }
    const Node& node = *piece.node;
    const auto operand = [&](size_t i, int precedence) { return Piece{&nodes[node.operands[i]], precedence, {}}; };
    switch (node.kind) {
      case Kind::kUnary:
        open(kUnaryPrecedence, piece.precedence);
        out += node.text;
        left.push_back(operand(0, kUnaryPrecedence));
        break;
      case Kind::kBinary: {
        const int precedence = precedence_of(node.text);
        open(precedence, piece.precedence);
        left.push_back(operand(1, precedence + 1));
        left.push_back({nullptr, 0, " "});
        left.push_back({nullptr, 0, node.text});
        left.push_back({nullptr, 0, " "});
        left.push_back(operand(0, precedence));
        break;
      }
      case Kind::kParenthesis: left.push_back(operand(0, piece.precedence)); break;
      case Kind::kArray:
        out += '{';
        left.push_back({nullptr, 0, "}"});
        for (size_t i = node.operands.size(); i-- > 0;) {
          left.push_back(operand(i, 0));
          if (i > 0) left.push_back({nullptr, 0, ", "});
        }
        break;
      case Kind::kReference:
        if (const size_t dot = node.text.rfind('.'); dot != std::string::npos && node.owner != nullptr) {
          out += node.owner->qualified_name() + node.text.substr(dot);
          break;
        }
        [[fallthrough]];
      default: out += node.text;
    }
  }
  return out;
}

}  // namespace adyton::aidl
