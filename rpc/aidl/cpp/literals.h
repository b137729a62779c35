// Values as C++ literals.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace adyton::aidl {

// A string literal with its quotes, for a UTF-8 text; what is not printable ASCII is kept if it is UTF-8, control characters are
// escaped.
[[nodiscard]] std::string string_literal(std::string_view utf8);
[[nodiscard]] std::string char16_literal(char16_t value);
[[nodiscard]] std::string int32_literal(int32_t value);
[[nodiscard]] std::string int64_literal(int64_t value);
// Shortest text that gives the same number back.
[[nodiscard]] std::string float_literal(float value);
[[nodiscard]] std::string double_literal(double value);

}  // namespace adyton::aidl
