// Values as text for people: what to_string() of generated parcelables is made of.
#pragma once
#include <charconv>
#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/unique_fd.h"

namespace adyton::rpc {

// 5, true, "text", [1, 2], null, Point{x: 1, y: 2}, fd 7, object.
template <typename T>
std::string describe(const T& value);

namespace internal {

inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <typename T>
concept HasToString = requires(const T& value) {
  { value.to_string() } -> std::convertible_to<std::string>;
};

template <typename T>
constexpr bool kIsSharedPointer = false;
template <typename T>
constexpr bool kIsSharedPointer<std::shared_ptr<T>> = true;
template <typename T>
constexpr bool kIsHolder = false;
template <typename T>
constexpr bool kIsHolder<std::optional<T>> = true;
template <typename T>
constexpr bool kIsHolder<std::unique_ptr<T>> = true;

}  // namespace internal

template <typename T>
std::string describe(const T& value) {
  if constexpr (std::same_as<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::floating_point<T>) {
    char text[32];  // shortest text that gives the same number back
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  } else if constexpr (std::integral<T>) {
    return std::to_string(static_cast<int64_t>(value));
  } else if constexpr (std::is_enum_v<T>) {
    return to_string(value);
  } else if constexpr (std::convertible_to<T, std::string_view>) {
    return internal::quoted(value);
  } else if constexpr (std::same_as<T, UniqueFd>) {
    return value.valid() ? "fd " + std::to_string(value.get()) : "null";
  } else if constexpr (internal::kIsSharedPointer<T>) {
    return value ? "object" : "null";
  } else if constexpr (internal::kIsHolder<T>) {
    return value ? describe(*value) : "null";
  } else if constexpr (internal::HasToString<T>) {
    return value.to_string();
  } else if constexpr (std::ranges::range<T>) {
    std::string out = "[";
    for (const auto& element : value) {
      if (out.size() > 1) out += ", ";
      out += describe(static_cast<const std::ranges::range_value_t<T>&>(element));
    }
    return out + "]";
  } else {
    return "?";  // a hand-written parcelable without to_string()
  }
}

// Description("Point").field("x", x).field("y", y).str()
class Description {
 public:
  explicit Description(std::string_view name) : text_(name) { text_ += '{'; }
  template <typename T>
  Description&& field(std::string_view name, const T& value) && {
    if (!text_.ends_with('{') || !first_) text_ += ", ";
    first_ = false;
    text_.append(name).append(": ").append(describe(value));
    return std::move(*this);
  }
  std::string str() && { return std::move(text_) + "}"; }

 private:
  std::string text_;
  bool first_ = true;
};

}  // namespace adyton::rpc
