#include "rpc/aidl/cpp/literals.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace adyton::aidl {
namespace {

template <typename T>
std::string floating(T value, std::string_view type, std::string_view suffix) {
  if (std::isnan(value)) return fmt::format("std::numeric_limits<{}>::quiet_NaN()", type);
  if (std::isinf(value)) return fmt::format("{}std::numeric_limits<{}>::infinity()", value < 0 ? "-" : "", type);
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + std::string(suffix);
}

}  // namespace

std::string string_literal(std::string_view utf8) {
  std::string out = "\"";
  for (const char c : utf8) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default:
        // Three octal digits: an escape that a digit behind it cannot lengthen.
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string char16_literal(char16_t value) {
  switch (value) {
    case u'\'': return "u'\\''";
    case u'\\': return "u'\\\\'";
    case u'\n': return "u'\\n'";
    case u'\t': return "u'\\t'";
    case u'\r': return "u'\\r'";
    case 0: return "u'\\0'";
    default: break;
  }
  if (value >= 0x20 && value < 0x7f) return fmt::format("u'{}'", static_cast<char>(value));
  // A surrogate or a control character is no universal character name.
  return fmt::format("u'\\x{:04x}'", static_cast<uint32_t>(value));
}

std::string int32_literal(int32_t value) {
  return value == std::numeric_limits<int32_t>::min() ? "INT32_MIN" : fmt::format("{}", value);
}

std::string int64_literal(int64_t value) {
  return value == std::numeric_limits<int64_t>::min() ? "INT64_MIN" : fmt::format("{}", value);
}

std::string float_literal(float value) { return floating(value, "float", "f"); }
std::string double_literal(double value) { return floating(value, "double", ""); }

}  // namespace adyton::aidl
