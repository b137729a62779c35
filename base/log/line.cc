#include "base/log/line.h"

#include <algorithm>
#include <cstring>

namespace adyton::log {
namespace {

constexpr size_t kMaxValue = 256;         // bytes of a field's value
constexpr size_t kRoomForMessage = 1024;  // bytes that fields leave free
constexpr std::string_view kCut = "...";

struct CodePoint {
  uint32_t value = 0;
  size_t size = 0;  // bytes; 0: not UTF-8
};

// The Unicode standard, table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF.
CodePoint decode(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first >= 0xc2 && first <= 0xdf && follows(1)) return {(first & 0x1fu) << 6 | (byte(1) & 0x3fu), 2};
  if (first >= 0xe0 && first <= 0xef && follows(1) && follows(2)) {
    const uint32_t value = (first & 0xfu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
    if (value >= 0x800 && (value < 0xd800 || value > 0xdfff)) return {value, 3};
  }
  if (first >= 0xf0 && first <= 0xf4 && follows(1) && follows(2) && follows(3)) {
    const uint32_t value = (first & 7u) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 | (byte(3) & 0x3fu);
    if (value >= 0x10000 && value <= 0x10ffff) return {value, 4};
  }
  return {};
}

// C0 and C1 controls, marks that reorder or hide text, separators of lines and paragraphs.
bool is_harmful(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe007f);
}

// What one escaped character becomes; the longest is \udb40\udc00.
class Piece {
 public:
  void add(std::string_view text) {
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  void add_hex(uint32_t value, unsigned digits) {
    for (unsigned i = digits; i-- > 0;) bytes_[size_++] = "0123456789abcdef"[value >> (4 * i) & 0xf];
  }
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 16> bytes_;
  size_t size_ = 0;
};

unsigned hex_digits(uint32_t value) {
  unsigned digits = 1;
  while (value >>= 4) ++digits;
  return digits;
}

void escape_byte(Piece& piece, uint8_t byte, Escape escape) {
  if (escape == Escape::kJson) return piece.add("\\ufffd");
  piece.add("\\x");
  piece.add_hex(byte, 2);
}

void escape_code_point(Piece& piece, uint32_t c, Escape escape) {
  switch (c) {
    case '\n': return piece.add("\\n");
    case '\t': return piece.add("\\t");
    case '\r': return piece.add("\\r");
    default: break;
  }
  if (escape == Escape::kJson) {  // UTF-16 (RFC 8259, section 7)
    piece.add("\\u");
    if (c < 0x10000) return piece.add_hex(c, 4);
    piece.add_hex(0xd800 + ((c - 0x10000) >> 10), 4);
    piece.add("\\u");
    piece.add_hex(0xdc00 + ((c - 0x10000) & 0x3ff), 4);
  } else if (c < 0x80) {
    escape_byte(piece, static_cast<uint8_t>(c), escape);
  } else {
    piece.add("\\u{");
    piece.add_hex(c, hex_digits(c));
    piece.add("}");
  }
}

// A value that reads the same without quotation marks.
bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/+@#%,").find(c) != std::string_view::npos;
  });
}

std::string_view first_of(std::string_view text, size_t size) { return text.substr(0, std::min(size, text.size())); }

bool append_value(Line& line, const Field& field) {
  return (!field.negative() || line.append("-")) && line.append_number(field.magnitude());
}

// Whether `add` left enough room; otherwise it has added nothing.
template <typename Add>
void whole_or_not(Line& line, Add add) {
  const size_t before = line.size();
  if (!add() || line.room() < kRoomForMessage) line.rewind(before);
}

void append_text_fields(Line& line, std::span<const Field> fields) {
  for (const Field& field : fields) {
    whole_or_not(line, [&] {
      if (!line.append(" ") || !line.append(field.key()) || !line.append("=")) return false;
      if (field.is_number()) return append_value(line, field);
      const std::string_view value = field.text();
      if (value.size() <= kMaxValue && is_plain(value)) return line.append(value);
      line.append("\"");
      append_escaped(line, first_of(value, kMaxValue), Escape::kQuoted, 1 + kCut.size());
      if (value.size() > kMaxValue) line.append(kCut);
      return line.append("\"");
    });
  }
}

void append_json_fields(Line& line, std::span<const Field> fields) {
  for (const Field& field : fields) {
    whole_or_not(line, [&] {
      if (!line.append(",\"") || !line.append(field.key()) || !line.append("\":")) return false;
      if (field.is_number()) return append_value(line, field);
      line.append("\"");
      append_escaped(line, first_of(field.text(), kMaxValue), Escape::kJson, 1 + kCut.size());
      if (field.text().size() > kMaxValue) line.append(kCut);
      return line.append("\"");
    });
  }
}

// RFC 3339, UTC. Not by gmtime_r(), which may want to read /etc/localtime.
void append_time(Line& line, std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<microseconds>(time - day));
  line.append_number(static_cast<uint64_t>(static_cast<int>(date.year())), 4);
  line.append("-");
  line.append_number(static_cast<unsigned>(date.month()), 2);
  line.append("-");
  line.append_number(static_cast<unsigned>(date.day()), 2);
  line.append("T");
  line.append_number(static_cast<uint64_t>(clock.hours().count()), 2);
  line.append(":");
  line.append_number(static_cast<uint64_t>(clock.minutes().count()), 2);
  line.append(":");
  line.append_number(static_cast<uint64_t>(clock.seconds().count()), 2);
  line.append(".");
  line.append_number(static_cast<uint64_t>(clock.subseconds().count()), 6);
  line.append("Z");
}

}  // namespace

bool Line::append(std::string_view text) {
  if (text.size() > room()) return false;
  std::memcpy(bytes_.data() + size_, text.data(), text.size());
  size_ += text.size();
  return true;
}

bool Line::append_number(uint64_t value, unsigned min_digits) {
  std::array<char, 20> digits;
  size_t at = digits.size();
  while (value != 0 || digits.size() - at < min_digits) {
    digits[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return append({digits.data() + at, digits.size() - at});
}

void append_escaped(Line& line, std::string_view text, Escape escape, size_t reserve) {
  size_t cut_at = line.size();  // up to where there is room for kCut
  while (!text.empty()) {
    const CodePoint point = decode(text);
    const size_t size = std::max<size_t>(point.size, 1);
    Piece piece;
    if (point.size == 0) {
      escape_byte(piece, static_cast<uint8_t>(text[0]), escape);
    } else if (is_harmful(point.value)) {
      escape_code_point(piece, point.value, escape);
    } else {
      if (text[0] == '\\' || (text[0] == '"' && escape != Escape::kText)) piece.add("\\");
      piece.add(text.substr(0, size));
    }
    if (piece.text().size() + reserve > line.room()) {
      line.rewind(cut_at);
      line.append(kCut);
      return;
    }
    line.append(piece.text());
    if (line.room() >= reserve + kCut.size()) cut_at = line.size();
    text.remove_prefix(size);
  }
}

void write_message(Line& line, const Record& record) {
  line.append(record.component);
  line.append("[");
  line.append_number(static_cast<uint64_t>(std::max(record.pid, 0)));
  line.append("]");
  append_text_fields(line, record.context);
  append_text_fields(line, record.fields);
  line.append(": ");
  append_escaped(line, record.message, Escape::kText, 1);
}

void write_text(Line& line, const Record& record) {
  append_time(line, record.time);
  line.append(" ");
  line.append(to_string(record.level));
  line.append(" ");
  write_message(line, record);
}

void write_json(Line& line, const Record& record) {
  line.append("{\"time\":\"");
  append_time(line, record.time);
  line.append("\",\"level\":\"");
  line.append(to_string(record.level));
  line.append("\",\"component\":\"");
  append_escaped(line, first_of(record.component, 64), Escape::kJson);
  line.append("\",\"pid\":");
  line.append_number(static_cast<uint64_t>(std::max(record.pid, 0)));
  append_json_fields(line, record.context);
  append_json_fields(line, record.fields);
  line.append(",\"message\":\"");
  append_escaped(line, record.message, Escape::kJson, 3);
  line.append("\"}");
}

}  // namespace adyton::log
