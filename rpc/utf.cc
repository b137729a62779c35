#include "rpc/utf.h"

#include <cstddef>
#include <cstdint>

namespace adyton::rpc {

namespace {

constexpr char32_t kInvalid = 0xffff'ffff;
constexpr char32_t kReplacement = 0xfffd;

constexpr bool is_high_surrogate(char32_t unit) { return unit >= 0xd800 && unit <= 0xdbff; }
constexpr bool is_low_surrogate(char32_t unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

// The character at text[at], which moves past it; kInvalid, and past one byte, if there is none.
char32_t next(std::string_view text, size_t& at) {
  const uint8_t lead = static_cast<uint8_t>(text[at++]);
  if (lead < 0x80) return lead;
  // The lead byte tells the length, and the least character that needs it.
  const size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < more) return kInvalid;
  char32_t character = lead & (0x3f >> more);
  for (size_t i = 0; i < more; ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[at + i]);
    if ((byte & 0xc0) != 0x80) return kInvalid;
    character = character << 6 | (byte & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (character < kLeast[more] || character > 0x10'ffff || (character >= 0xd800 && character <= 0xdfff)) return kInvalid;
  at += more;
  return character;
}

char32_t next(std::u16string_view text, size_t& at) {
  const char32_t unit = text[at++];
  if (is_low_surrogate(unit)) return kInvalid;
  if (!is_high_surrogate(unit)) return unit;
  if (at == text.size() || !is_low_surrogate(text[at])) return kInvalid;
  return 0x10000 + ((unit - 0xd800) << 10) + (text[at++] - 0xdc00);
}

void append(std::u16string& text, char32_t character) {
  if (character < 0x10000) {
    text.push_back(static_cast<char16_t>(character));
  } else {
    text.push_back(static_cast<char16_t>(0xd800 + ((character - 0x10000) >> 10)));
    text.push_back(static_cast<char16_t>(0xdc00 + ((character - 0x10000) & 0x3ff)));
  }
}

void append(std::string& text, char32_t character) {
  if (character < 0x80) {
    text.push_back(static_cast<char>(character));
    return;
  }
  const int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  text.push_back(static_cast<char>((0xff00 >> (more + 1) & 0xff) | character >> 6 * more));
  for (int i = more - 1; i >= 0; --i) text.push_back(static_cast<char>(0x80 | (character >> 6 * i & 0x3f)));
}

template <typename To, typename From>
std::optional<To> convert(From text, bool lossy) {
  To result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    char32_t character = next(text, at);
    if (character == kInvalid) {
      if (!lossy) return std::nullopt;
      character = kReplacement;
    }
    append(result, character);
  }
  return result;
}

}  // namespace

std::optional<std::u16string> utf16_from_utf8(std::string_view utf8) { return convert<std::u16string>(utf8, false); }
std::u16string utf16_from_utf8_lossy(std::string_view utf8) { return *convert<std::u16string>(utf8, true); }
std::optional<std::string> utf8_from_utf16(std::u16string_view utf16) { return convert<std::string>(utf16, false); }
std::string utf8_from_utf16_lossy(std::u16string_view utf16) { return *convert<std::string>(utf16, true); }

}  // namespace adyton::rpc
