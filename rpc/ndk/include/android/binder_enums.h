// The values of enums that `aidl --lang=ndk` generates, as the Android NDK names them: for (E value : ndk::enum_range<E>()).
#pragma once
#include <array>
#include <cstddef>
#include <type_traits>

namespace ndk {
namespace internal {

// Generated headers specialize it for each enum.
template <typename E, typename = std::enable_if_t<std::is_enum_v<E>>>
inline constexpr std::array<E, 0> enum_values{};

}  // namespace internal

template <typename E>
struct enum_range {
  constexpr auto begin() const { return internal::enum_values<E>.begin(); }
  constexpr auto end() const { return internal::enum_values<E>.end(); }
  constexpr size_t size() const { return internal::enum_values<E>.size(); }
};

}  // namespace ndk
