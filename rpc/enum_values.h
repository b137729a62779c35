// The values of enums that come from AIDL.
#pragma once
#include <array>
#include <span>

namespace adyton::rpc {

// In the file's order, each value once. Generated headers give one per enum.
template <typename E>
inline constexpr std::array<E, 0> kEnumValues{};

template <typename E>
constexpr std::span<const E> enum_values() {
  return kEnumValues<E>;
}

}  // namespace adyton::rpc
