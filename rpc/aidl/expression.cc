#include "rpc/aidl/expression.h"

#include "rpc/aidl/ast.h"

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
    const Node* node;
    std::string_view text;
    bool bare = false;  // without parentheses
  };
  std::vector<Piece> left{{&nodes.back(), {}}};
  std::string out;
  while (!left.empty()) {
    const Piece piece = left.back();
    left.pop_back();
    if (piece.node == nullptr) {
      out += piece.text;
      continue;
    }
    const Node& node = *piece.node;
    const auto operand = [&](size_t i) { return Piece{&nodes[node.operands[i]], {}}; };
    switch (node.kind) {
      // Parenthesised, so that a reader of a dump needs no table of precedences.
      case Kind::kUnary:
        out += '(' + node.text;
        left.push_back({nullptr, ")"});
        left.push_back(operand(0));
        break;
      case Kind::kBinary: {
        if (!piece.bare) {
          out += '(';
          left.push_back({nullptr, ")"});
        }
        left.push_back(operand(1));
        left.push_back({nullptr, " "});
        left.push_back({nullptr, node.text});
        left.push_back({nullptr, " "});
        // A | B | C needs one pair, however long it is.
        const Node& first = nodes[node.operands[0]];
        left.push_back({&first, {}, first.kind == Kind::kBinary && first.text == node.text});
        break;
      }
      case Kind::kParenthesis: left.push_back(operand(0)); break;
      case Kind::kArray:
        out += '{';
        left.push_back({nullptr, "}"});
        for (size_t i = node.operands.size(); i-- > 0;) {
          left.push_back(operand(i));
          if (i > 0) left.push_back({nullptr, ", "});
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
