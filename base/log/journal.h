// A record in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): KEY=VALUE lines. Values hold no line feeds here,
// as they are escaped like those of any other line, so the protocol's binary form is not needed.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include "base/log/line.h"
#include "base/log/record.h"

namespace adyton::log {

class JournalEntry {
 public:
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }
  // One field, whole or not at all; `prefix` and `key` in capitals.
  bool add(std::string_view prefix, std::string_view key, std::string_view value);

 private:
  std::array<char, 2 * Line::kCapacity> bytes_;
  size_t size_ = 0;
};

// MESSAGE (with its fields, as journalctl shows nothing else), PRIORITY, SYSLOG_IDENTIFIER, and ADYTON_COMPONENT, ADYTON_PID and
// ADYTON_KEY for each field.
void write_journal(JournalEntry& entry, const Record& record, std::string_view identifier);

}  // namespace adyton::log
