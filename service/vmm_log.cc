#include "service/vmm_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace adyton::service {
namespace {

using nlohmann::json;

constexpr size_t kMaxName = 16;
constexpr const char* kWhat = "lines of the VM's process";

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '-'; });
}

// What the log itself says of every line, and what we say of the VM.
bool is_reserved(std::string_view key) {
  constexpr std::string_view kReserved[] = {"time", "level", "component", "pid", "message", "vm", "cid"};
  return std::ranges::find(kReserved, key) != std::end(kReserved);
}

bool take_apart(const json& object, VmmLine& line) {
  if (!object.is_object()) return false;
  const auto text = [&](const char* key) -> const std::string* {
    const auto found = object.find(key);
    return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
  };
  const std::string* const level = text("level");
  const std::string* const component = text("component");
  const std::string* const message = text("message");
  if (level == nullptr || component == nullptr || message == nullptr || !is_name(*component)) return false;
  const auto known = log::parse_level(*level);
  if (!known || *known == log::Level::kOff) return false;
  line = {.level = *known, .component = *component, .message = *message, .fields = {}};
  for (const auto& [key, value] : object.items()) {
    if (!is_name(key) || is_reserved(key) || line.fields.size() == VmmLog::kMaxFields) continue;
    if (const auto* string = value.get_ptr<const std::string*>()) {
      line.fields.push_back({.key = key, .text = *string});
    } else if (value.is_number_integer()) {
      line.fields.push_back({.key = key, .text = {}, .is_number = true, .number = value.get<int64_t>()});
    }
  }
  return true;
}

}  // namespace

VmmLine parse_vmm_line(std::string_view line) {
  VmmLine parsed;
  if (line.starts_with('{') && take_apart(json::parse(line, nullptr, /*allow_exceptions=*/false), parsed)) return parsed;
  parsed.message = line;
  return parsed;
}

void VmmLog::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (!skipping_) line_.append(part.substr(0, kMaxLine - line_.size()));
    skipping_ = line_.size() == kMaxLine;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    skipping_ = false;
    take_line(std::exchange(line_, {}));
  }
}

void VmmLog::finish() {
  if (!line_.empty()) take_line(std::exchange(line_, {}));
  log_.tell_suppressed(log::Level::kWarning, limit_, kWhat);
}

void VmmLog::take_line(std::string_view line) {
  if (line.empty()) return;
  const VmmLine parsed = parse_vmm_line(line);
  if (parsed.level == log::Level::kError) last_words_ = parsed.message;
  if (!log_.admits(parsed.level, limit_, kWhat)) return;
  std::vector<log::Field> fields;
  for (const VmmLine::Value& value : parsed.fields) {
    if (value.is_number) {
      fields.emplace_back(value.key, value.number);
    } else {
      fields.emplace_back(value.key, std::string_view(value.text));
    }
  }
  log_.relay({.time = std::chrono::system_clock::now(),
              .level = parsed.level,
              .pid = pid_,
              .component = parsed.component,
              .context = {},
              .fields = fields,
              .message = parsed.message});
}

}  // namespace adyton::service
