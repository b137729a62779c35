// Values as text, as generated parcelables' toString() uses it: ndk::internal::ToString().
#pragma once
#include <android/binder_auto_utils.h>
#include <android/binder_interface_utils.h>

#include <array>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ndk::internal {

template <typename T>
std::string ToString(const T& value);

template <typename T>
constexpr bool kIsSequence = false;
template <typename T>
constexpr bool kIsSequence<std::vector<T>> = true;
template <typename T, size_t N>
constexpr bool kIsSequence<std::array<T, N>> = true;

template <typename T>
constexpr bool kIsHeld = false;
template <typename T>
constexpr bool kIsHeld<std::optional<T>> = true;
template <typename T>
constexpr bool kIsHeld<std::unique_ptr<T>> = true;

template <typename T, typename = void>
constexpr bool kHasToString = false;
template <typename T>
constexpr bool kHasToString<T, std::void_t<decltype(std::declval<const T&>().toString())>> = true;

template <typename T, typename = void>
constexpr bool kIsInterfacePointer = false;
template <typename T>
constexpr bool kIsInterfacePointer<T, std::void_t<decltype(std::declval<const T&>()->asBinder())>> = true;

template <typename T>
std::string ToString(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char16_t> || std::is_same_v<T, int8_t> || std::is_same_v<T, uint8_t>) {
    return std::to_string(static_cast<int>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    std::ostringstream text;
    text << value;
    return text.str();
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_enum_v<T>) {
    return toString(value);  // generated, beside the enum
  } else if constexpr (kIsHeld<T>) {
    return value ? ToString(*value) : "(null)";
  } else if constexpr (kIsSequence<T>) {
    std::string text = "[";
    bool first = true;
    for (const auto& element : value) {
      if (!first) text += ", ";
      first = false;
      text += ToString(static_cast<const typename T::value_type&>(element));
    }
    return text + "]";
  } else if constexpr (std::is_same_v<T, ScopedFileDescriptor>) {
    return value.get() < 0 ? "(null)" : "fd:" + std::to_string(value.get());
  } else if constexpr (std::is_same_v<T, SpAIBinder>) {
    return value.get() == nullptr ? "(null)" : "(object)";
  } else if constexpr (kHasToString<T>) {
    return value.toString();
  } else if constexpr (kIsInterfacePointer<T>) {
    return value ? "(object)" : "(null)";
  } else {
    return "(unknown)";
  }
}

}  // namespace ndk::internal
