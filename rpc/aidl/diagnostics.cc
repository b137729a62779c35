#include "rpc/aidl/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace adyton::aidl {
namespace {

struct WarningInfo {
  Warning warning;
  std::string_view name;
  bool by_default;
};
constexpr std::array<WarningInfo, kWarningCount> kWarnings = {{
    {Warning::kConstName, "const-name", false},
    {Warning::kEnumExplicitDefault, "enum-explicit-default", false},
    {Warning::kFileDescriptor, "file-descriptor", false},
    {Warning::kInoutParameter, "inout-parameter", false},
    {Warning::kInterfaceName, "interface-name", false},
    {Warning::kMixedOneway, "mixed-oneway", false},
    {Warning::kOutArray, "out-array", false},
    {Warning::kOutNullable, "out-nullable", false},
    {Warning::kRedundantName, "redundant-name", false},
    {Warning::kRedundantOneway, "redundant-oneway", false},
    {Warning::kUniqueImport, "unique-import", false},
    {Warning::kUniqueMethodNames, "unique-method-names", true},
    {Warning::kUnusedImport, "unused-import", false},
    {Warning::kUntypedCollection, "untyped-collection", false},
    {Warning::kUnknownWarning, "unknown-warning", true},
}};

constexpr size_t kMaxMessage = 1000;
// How much of a source line a diagnostic shows.
constexpr size_t kMaxExcerpt = 160;

// A line of a hostile file, fit for a terminal: one column per character, no control characters, no broken UTF-8.
struct PrintableLine {
  std::string text;
  size_t caret = 0;  // columns in front of the caret
  size_t width = 1;  // columns under it
};

size_t utf8_length(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return 0;
  }
  // C1 controls steer a terminal too.
  if (length == 2 && lead == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0) return 0;
  return length;
}

PrintableLine printable(std::string_view line, size_t column, size_t length) {
  PrintableLine out;
  size_t begin = 0;
  size_t end = line.size();
  if (line.size() > kMaxExcerpt) {
    begin = column > kMaxExcerpt / 2 ? std::min(column - kMaxExcerpt / 2, line.size() - kMaxExcerpt) : 0;
    end = std::min(line.size(), begin + kMaxExcerpt);
  }
  if (begin > 0) {
    out.text = "...";
    out.caret = 3;
  }
  out.width = 0;
  for (size_t at = begin; at < end;) {
    const auto c = static_cast<unsigned char>(line[at]);
    size_t step = utf8_length(line.substr(0, end), at);
    if (step == 0 || (step == 1 && (c < 0x20 || c == 0x7f))) {
      out.text += c == '\t' ? ' ' : '?';
      step = 1;
    } else {
      out.text += line.substr(at, step);
    }
    if (at < column) ++out.caret;
    else if (at < column + length) ++out.width;
    at += step;
  }
  if (end < line.size()) out.text += "...";
  out.width = std::max<size_t>(out.width, 1);
  return out;
}

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::kNote: return "note";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return {};
}

}  // namespace

std::string_view warning_name(Warning warning) { return kWarnings[static_cast<size_t>(warning)].name; }

std::optional<Warning> find_warning(std::string_view name) {
  const auto found = std::find_if(kWarnings.begin(), kWarnings.end(), [&](const WarningInfo& info) { return info.name == name; });
  return found == kWarnings.end() ? std::nullopt : std::optional(found->warning);
}

WarningPolicy::WarningPolicy() {
  for (const WarningInfo& info : kWarnings) enabled_[static_cast<size_t>(info.warning)] = info.by_default;
}

void WarningPolicy::disable_all() { std::fill(std::begin(enabled_), std::end(enabled_), false); }

bool WarningPolicy::apply(std::string_view option) {
  if (option == "all" || option == "everything") {
    std::fill(std::begin(enabled_), std::end(enabled_), true);
    return true;
  }
  if (option == "error" || option == "no-error") {
    std::fill(std::begin(error_), std::end(error_), option == "error");
    return true;
  }
  bool value = true;
  if (option.starts_with("no-")) {
    value = false;
    option.remove_prefix(3);
  }
  const bool as_error = option.starts_with("error=");
  if (as_error) option.remove_prefix(6);
  const auto warning = find_warning(option);
  if (!warning) return false;
  const auto index = static_cast<size_t>(*warning);
  if (as_error) error_[index] = value;
  if (!as_error || value) enabled_[index] = value;
  return true;
}

void Diagnostics::error(const Location& location, std::string message) {
  if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage) + "...";
  last_kept_ = ++errors_ <= kMaxErrors;
  if (last_kept_) list_.push_back({Severity::kError, std::move(message), location});
}

void Diagnostics::warning(Warning which, const Location& location, std::string message) {
  last_kept_ = false;
  if (!policy_.enabled(which)) return;
  const bool is_error = policy_.is_error(which);
  message += fmt::format(" [-W{}{}]", is_error ? "error=" : "", warning_name(which));
  if (is_error) {
    error(location, std::move(message));
  } else if (++warnings_ <= kMaxErrors) {
    if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage) + "...";
    list_.push_back({Severity::kWarning, std::move(message), location});
    last_kept_ = true;
  }
}

void Diagnostics::note(const Location& location, std::string message) {
  if (!last_kept_) return;
  if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage) + "...";
  list_.push_back({Severity::kNote, std::move(message), location});
}

std::string format_diagnostic(const Diagnostic& diagnostic) {
  const Location& where = diagnostic.location;
  if (!where.known()) return fmt::format("{}: {}\n", severity_name(diagnostic.severity), diagnostic.message);
  std::string out = fmt::format("{}: {}: {}\n", where.to_string(), severity_name(diagnostic.severity), diagnostic.message);
  const auto [line, column] = where.file->position(where.offset);
  const std::string_view text = where.file->line(line);
  if (text.empty()) return out;
  const PrintableLine shown = printable(text, column - 1, where.length);
  out += fmt::format("    {}\n    {}^{}\n", shown.text, std::string(shown.caret, ' '), std::string(shown.width - 1, '~'));
  return out;
}

std::string Diagnostics::to_string() const {
  // In the order of the files and their lines, whichever part of the compiler found what; notes stay with what they belong to.
  struct Group {
    size_t file = 0;
    uint32_t offset = 0;
    size_t begin = 0;
  };
  std::unordered_map<const SourceFile*, size_t> files;
  std::vector<Group> groups;
  for (size_t i = 0; i < list_.size(); ++i) {
    if (list_[i].severity == Severity::kNote && i > 0) continue;
    const Location& where = list_[i].location;
    groups.push_back({files.try_emplace(where.file, files.size()).first->second, where.offset, i});
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return std::pair(a.file, a.offset) < std::pair(b.file, b.offset); });
  std::string out;
  for (const Group& group : groups) {
    out += format_diagnostic(list_[group.begin]);
    for (size_t i = group.begin + 1; i < list_.size() && list_[i].severity == Severity::kNote; ++i) out += format_diagnostic(list_[i]);
  }
  if (errors_ > kMaxErrors) out += fmt::format("error: {} more errors are not shown\n", errors_ - kMaxErrors);
  return out;
}

}  // namespace adyton::aidl
