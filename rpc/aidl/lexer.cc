#include "rpc/aidl/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace adyton::aidl {
namespace {

// Not <cctype>: AIDL is ASCII, whatever the locale is.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_word_start(c) || is_digit(c); }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_punctuation(char c) { return c != '\0' && std::string_view("(){}[]<>,;.=+-*/%&|^!~:").find(c) != std::string_view::npos; }

constexpr std::array<std::string_view, 13> kKeywords = {"const", "enum",  "false",   "import",     "in",   "inout", "interface",
                                                        "oneway", "out",  "package", "parcelable", "true", "union"};

}  // namespace

bool is_keyword(std::string_view word) { return std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end(); }

Lexer::Lexer(const SourceFile& file, Diagnostics& diagnostics) : file_(file), diagnostics_(diagnostics), text_(file.text()) {
  if (text_.size() > kMaxFileSize) {
    diagnostics_.error({&file_, 0, 1}, fmt::format("the file has more than {} MiB", kMaxFileSize >> 20));
    text_ = {};
  }
  if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
}

Location Lexer::from(size_t begin) const { return {&file_, static_cast<uint32_t>(begin), static_cast<uint32_t>(at_ - begin)}; }

void Lexer::skip_space_and_comments(Token& token) {
  size_t block_begin = 0;  // of what `token.comment` will be
  bool in_lines = false;   // the last comment was of the // kind, and its neighbours belong to it
  while (at_ < text_.size()) {
    const size_t begin = at_;
    if (is_space(text_[at_])) {
      // An empty line ends a run of // lines: what stands above it is about something else.
      size_t newlines = 0;
      while (at_ < text_.size() && is_space(text_[at_])) newlines += text_[at_++] == '\n';
      if (newlines > 0 && in_lines) in_lines = false;
    } else if (text_.substr(at_, 2) == "//") {
      const size_t end = text_.find('\n', at_);
      at_ = end == std::string_view::npos ? text_.size() : end + 1;
      if (!in_lines) block_begin = begin;
      in_lines = true;
      token.comment = text_.substr(block_begin, at_ - block_begin);
      // The indentation of a next line is part of the run.
      size_t ahead = at_;
      while (at(ahead) == ' ' || at(ahead) == '\t') ++ahead;
      if (text_.substr(ahead, 2) == "//") at_ = ahead;
    } else if (text_.substr(at_, 2) == "/*") {
      const size_t end = text_.find("*/", at_ + 2);
      in_lines = false;
      if (end == std::string_view::npos) {
        at_ = text_.size();
        diagnostics_.error({&file_, static_cast<uint32_t>(begin), 2}, "this comment has no end");
        return;
      }
      at_ = end + 2;
      token.comment = text_.substr(begin, at_ - begin);
    } else {
      return;
    }
  }
}

void Lexer::skip_strays() {
  const size_t begin = at_;
  const auto stray = [](char c) { return !is_space(c) && !is_word(c) && !is_punctuation(c) && c != '"' && c != '\'' && c != '@'; };
  while (at_ < text_.size() && (stray(text_[at_]) || at_ == begin)) ++at_;
  const auto first = static_cast<unsigned char>(text_[begin]);
  std::string what = first >= 0x80 ? "characters beyond ASCII are only allowed in comments"
                     : first < 0x20 || first == 0x7f ? fmt::format("a byte 0x{:02x} has no place in an AIDL file", first)
                                                     : fmt::format("'{}' has no place in an AIDL file", text_[begin]);
  diagnostics_.error(from(begin), std::move(what));
}

void Lexer::scan_word() {
  while (is_word(at(at_))) ++at_;
}

TokenKind Lexer::scan_number() {
  const size_t begin = at_;
  TokenKind kind = TokenKind::kInteger;
  if (at(at_) == '0' && (at(at_ + 1) == 'x' || at(at_ + 1) == 'X')) {
    at_ += 2;
    while (is_hex_digit(at(at_))) ++at_;
  } else {
    while (is_digit(at(at_))) ++at_;
    if (at(at_) == '.') {
      kind = TokenKind::kFloating;
      ++at_;
      while (is_digit(at(at_))) ++at_;
    }
    if (at(at_) == 'e' || at(at_) == 'E') {
      size_t ahead = at_ + 1;
      if (at(ahead) == '+' || at(ahead) == '-') ++ahead;
      if (is_digit(at(ahead))) {
        kind = TokenKind::kFloating;
        at_ = ahead;
        while (is_digit(at(at_))) ++at_;
      }
    }
  }
  const size_t suffix_begin = at_;
  scan_word();
  const std::string_view suffix = text_.substr(suffix_begin, at_ - suffix_begin);
  const bool hex = at(begin + 1) == 'x' || at(begin + 1) == 'X';
  if (!hex && suffix == "f") return TokenKind::kFloating;
  const bool known = suffix.empty() || (kind == TokenKind::kInteger && (suffix == "l" || suffix == "L" || suffix == "u8"));
  if (!known || (hex && suffix_begin == begin + 2)) {
    const bool shown = at_ - begin <= 80;
    diagnostics_.error(from(begin), fmt::format("{} is not a number", shown ? fmt::format("'{}'", text_.substr(begin, at_ - begin)) : "this"));
  }
  return kind;
}

TokenKind Lexer::scan_quoted(char quote) {
  const size_t begin = at_++;
  const bool character = quote == '\'';
  // 'x' is exactly three characters, ''' among them; a string ends at the next quote and never spans lines.
  if (character && at(at_ + 1) == '\'' && at(at_) != '\n') {
    at_ += 2;
  } else {
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') ++at_;
    const bool closed = at(at_) == quote;
    if (closed) ++at_;
    if (!closed || character) {
      diagnostics_.error(from(begin), !closed ? (character ? "this character has no closing quote" : "this string has no closing quote")
                                              : "a character literal holds exactly one ASCII character");
      return character ? TokenKind::kCharacter : TokenKind::kString;
    }
  }
  for (size_t i = begin + 1; i + 1 < at_; ++i) {
    const auto c = static_cast<unsigned char>(text_[i]);
    if (c >= 0x20 && c < 0x7f && c != '\\') continue;
    diagnostics_.error({&file_, static_cast<uint32_t>(i), 1},
                       fmt::format("{} cannot be in a {} literal: only printable ASCII can, and there are no escapes",
                                   c == '\\' ? std::string("a backslash") : fmt::format("the byte 0x{:02x}", c), character ? "character" : "string"));
    break;
  }
  return character ? TokenKind::kCharacter : TokenKind::kString;
}

void Lexer::scan_punctuation() {
  static constexpr std::array<std::string_view, 7> kPairs = {"&&", "||", "<<", "<=", ">=", "==", "!="};
  const std::string_view pair = text_.substr(at_, 2);
  at_ += std::find(kPairs.begin(), kPairs.end(), pair) != kPairs.end() ? 2 : 1;
}

Token Lexer::next() {
  Token token;
  const size_t previous_end = at_;
  for (;;) {
    skip_space_and_comments(token);
    if (at_ >= text_.size()) {
      token.location = {&file_, static_cast<uint32_t>(text_.size()), 0};
      return token;
    }
    const char c = text_[at_];
    if (is_word(c) || is_punctuation(c) || c == '"' || c == '\'' || (c == '@' && is_word_start(at(at_ + 1)))) break;
    skip_strays();
  }
  if (++tokens_ > kMaxTokens) {
    diagnostics_.error({&file_, static_cast<uint32_t>(at_), 1}, fmt::format("the file has more than {} tokens", kMaxTokens));
    at_ = text_.size();
    token.location = {&file_, static_cast<uint32_t>(at_), 0};
    return token;
  }
  token.glued = at_ == previous_end;
  const size_t begin = at_;
  const char c = text_[at_];
  if (is_word_start(c)) {
    scan_word();
    token.kind = is_keyword(text_.substr(begin, at_ - begin)) ? TokenKind::kKeyword : TokenKind::kIdentifier;
  } else if (is_digit(c) || (c == '.' && is_digit(at(at_ + 1)))) {
    token.kind = scan_number();
  } else if (c == '"' || c == '\'') {
    token.kind = scan_quoted(c);
  } else if (c == '@') {
    ++at_;
    scan_word();
    token.kind = TokenKind::kAnnotation;
  } else {
    scan_punctuation();
    token.kind = TokenKind::kPunctuation;
  }
  token.location = from(begin);
  token.text = text_.substr(begin, at_ - begin);
  if (token.kind == TokenKind::kAnnotation) token.text.remove_prefix(1);
  return token;
}

}  // namespace adyton::aidl
