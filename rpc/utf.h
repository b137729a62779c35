// UTF-8 and UTF-16: strings are UTF-8 in our C++ and UTF-16 in parcels.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace adyton::rpc {

// None unless it is well-formed UTF-8 (Unicode 15, table 3-7: no overlong form, no surrogate, nothing above U+10FFFF).
std::optional<std::u16string> utf16_from_utf8(std::string_view utf8);
// U+FFFD takes the place of every byte that belongs to no character.
std::u16string utf16_from_utf8_lossy(std::string_view utf8);

// None if it holds an unpaired surrogate.
std::optional<std::string> utf8_from_utf16(std::u16string_view utf16);
// U+FFFD takes the place of every unpaired surrogate.
std::string utf8_from_utf16_lossy(std::u16string_view utf16);

}  // namespace adyton::rpc
