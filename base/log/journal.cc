#include "base/log/journal.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace adyton::log {
namespace {

class Number {
 public:
  explicit Number(uint64_t value, bool negative = false) {
    char* at = digits_.data();
    if (negative) *at++ = '-';
    size_ = static_cast<size_t>(std::to_chars(at, digits_.data() + digits_.size(), value).ptr - digits_.data());
  }
  [[nodiscard]] std::string_view text() const { return {digits_.data(), size_}; }

 private:
  std::array<char, 24> digits_;
  size_t size_ = 0;
};

void add_fields(JournalEntry& entry, std::span<const Field> fields) {
  for (const Field& field : fields) {
    if (field.is_number()) {
      entry.add("ADYTON_", field.key(), Number(field.magnitude(), field.negative()).text());
    } else {
      Line value;
      append_escaped(value, field.text(), Escape::kText, Line::kCapacity - 512);
      entry.add("ADYTON_", field.key(), value.text());
    }
  }
}

}  // namespace

bool JournalEntry::add(std::string_view prefix, std::string_view key, std::string_view value) {
  if (prefix.size() + key.size() + value.size() + 2 > bytes_.size() - size_) return false;
  const auto put = [&](std::string_view text) {
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
  };
  put(prefix);
  for (const char c : key) bytes_[size_++] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  put("=");
  put(value);
  put("\n");
  return true;
}

void write_journal(JournalEntry& entry, const Record& record, std::string_view identifier) {
  Line message;
  write_message(message, record);
  entry.add("", "MESSAGE", message.text());
  entry.add("", "PRIORITY", Number(static_cast<uint64_t>(syslog_severity(record.level))).text());
  entry.add("", "SYSLOG_IDENTIFIER", identifier);
  entry.add("ADYTON_", "COMPONENT", record.component);
  entry.add("ADYTON_", "PID", Number(static_cast<uint64_t>(std::max(record.pid, 0))).text());
  add_fields(entry, record.context);
  add_fields(entry, record.fields);
}

}  // namespace adyton::log
