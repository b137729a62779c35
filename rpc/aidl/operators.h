// The binary operators of constant expressions.
#pragma once
#include <algorithm>
#include <array>
#include <string_view>

namespace adyton::aidl {

struct Operator {
  std::string_view text;
  int precedence;
};
// C's precedences; all of them associate to the left.
inline constexpr std::array<Operator, 18> kOperators = {{{"||", 1}, {"&&", 2}, {"|", 3}, {"^", 4}, {"&", 5}, {"==", 6}, {"!=", 6}, {"<", 7}, {">", 7},
                                                         {"<=", 7}, {">=", 7}, {"<<", 8}, {">>", 8}, {"+", 9}, {"-", 9}, {"*", 10}, {"/", 10}, {"%", 10}}};
inline constexpr int kUnaryPrecedence = 11;

// 0 for what is no binary operator.
[[nodiscard]] inline int precedence_of(std::string_view text) {
  const auto found = std::find_if(kOperators.begin(), kOperators.end(), [&](const Operator& known) { return known.text == text; });
  return found == kOperators.end() ? 0 : found->precedence;
}

}  // namespace adyton::aidl
