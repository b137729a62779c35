// Cuts an .aidl file into tokens. Bounded in time and memory for any bytes: a file over kMaxFileSize or kMaxTokens is refused.
#pragma once
#include <cstdint>
#include <string_view>

#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/source.h"

namespace adyton::aidl {

inline constexpr size_t kMaxFileSize = size_t{16} << 20;
inline constexpr size_t kMaxTokens = 2'000'000;

enum class TokenKind : uint8_t {
  kEnd,
  kIdentifier,
  kKeyword,      // one of is_keyword()
  kAnnotation,   // @name
  kInteger,      // 12, 12L, 0xff, 255u8
  kFloating,     // 1.5, 1e3, .5f, 2f
  kCharacter,    // 'a'
  kString,       // "a"
  kPunctuation,  // ( ) { } [ ] < > , ; . = + - * / % & | ^ ! ~ && || << <= >= == != : and never >> (so that List<List<T>> closes)
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;     // in the file; for an annotation without the @
  Location location;
  // The comment in front of it that documents what it begins: the last block, or the run of lines; empty when there is none.
  std::string_view comment;
  // Directly behind the token before it, with nothing between: how `> >` and `>>` are told apart.
  bool glued = false;

  [[nodiscard]] bool is(std::string_view punctuation_or_keyword) const {
    return (kind == TokenKind::kPunctuation || kind == TokenKind::kKeyword) && text == punctuation_or_keyword;
  }
};

// A word of AIDL's grammar, which names nothing else: "interface", "in", ... `cpp_header`, `ndk_header` and `rust_type` are not among them.
[[nodiscard]] bool is_keyword(std::string_view word);

class Lexer {
 public:
  // Both outlive the lexer and its tokens.
  Lexer(const SourceFile& file, Diagnostics& diagnostics);
  // kEnd at the end, again and again. Bytes that begin no token are reported and skipped.
  Token next();

 private:
  void skip_space_and_comments(Token& token);
  void skip_strays();
  void scan_word();
  TokenKind scan_number();
  TokenKind scan_quoted(char quote);
  void scan_punctuation();
  [[nodiscard]] char at(size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }
  [[nodiscard]] Location from(size_t begin) const;

  const SourceFile& file_;
  Diagnostics& diagnostics_;
  std::string_view text_;
  size_t at_ = 0;
  size_t tokens_ = 0;
};

}  // namespace adyton::aidl
