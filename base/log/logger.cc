#include "base/log/logger.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/log/sinks.h"

namespace adyton::log {

namespace {
constexpr size_t kMaxMessage = 2048;  // bytes, before they are escaped
}

// Copies of the fields, and fields that are views of them.
struct Logger::Context {
  std::vector<std::string> texts;
  std::vector<Field> fields;
};

Logger::Logger(const char* component, Fields context) : component_(component) {
  auto copy = std::make_shared<Context>();
  copy->texts.reserve(2 * context.size());  // the views stay valid
  for (const Field& field : context) {
    const std::string& key = copy->texts.emplace_back(field.key());
    if (!field.is_number()) {
      const std::string& text = copy->texts.emplace_back(field.text());
      copy->fields.emplace_back(key, text);
    } else if (field.negative()) {
      copy->fields.emplace_back(key, static_cast<int64_t>(uint64_t{0} - field.magnitude()));
    } else {
      copy->fields.emplace_back(key, field.magnitude());
    }
  }
  context_ = std::move(copy);
}

void Logger::write(Level level, Fields fields, fmt::string_view text, fmt::format_args args) const {
  std::array<char, kMaxMessage> buffer;
  const auto made = fmt::vformat_to_n(buffer.data(), buffer.size(), text, args);
  relay({.time = std::chrono::system_clock::now(),
         .level = level,
         .pid = internals::process(),
         .component = component_,
         .context = {},
         .fields = {fields.begin(), fields.size()},
         .message = {buffer.data(), std::min(made.size, buffer.size())}});
}

void Logger::relay(const Record& record) const {
  if (!enabled(record.level)) return;
  Record whole = record;
  if (context_) whole.context = context_->fields;
  internals::deliver(whole);
}

bool Logger::ask(Level level, RateLimit& limit, fmt::string_view what) const {
  const auto suppressed = limit.admit(RateLimit::Clock::now());
  if (!suppressed) return false;
  if (*suppressed > 0) say_suppressed(level, *suppressed, what);
  return true;
}

void Logger::tell_suppressed(Level level, RateLimit& limit, fmt::string_view what) const {
  if (!enabled(level)) return;
  if (const uint64_t count = limit.take_suppressed(); count > 0) say_suppressed(level, count, what);
}

void Logger::say_suppressed(Level level, uint64_t count, fmt::string_view what) const {
  const char* messages = count == 1 ? "message" : "messages";
  write(level, {{"suppressed", count}}, "{} {} suppressed: {}", fmt::make_format_args(count, messages, what));
}

}  // namespace adyton::log
