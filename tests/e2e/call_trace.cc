#include "tests/e2e/call_trace.h"

#include <algorithm>
#include <charconv>

namespace adyton::e2e {
namespace {

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  if (text == "NULL") return value;
  const bool negative = text.starts_with("-");
  if (negative) text.remove_prefix(1);
  const int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return negative ? -value : value;
}

// `text` begins behind the opening parenthesis. Commas in strings, structures and lists separate nothing.
std::vector<std::string_view> split_arguments(std::string_view text) {
  std::vector<std::string_view> arguments;
  int depth = 0;
  bool quoted = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[' || c == '(') ++depth;
    const bool end = depth == 0 && (c == ')' || text.substr(i).starts_with(" <unfinished"));
    if (end || (depth == 0 && c == ',')) {
      arguments.push_back(text.substr(begin, i - begin));
      if (end) break;
      begin = std::min(i + 2, text.size());
    }
    if (c == '}' || c == ']' || c == ')') --depth;
  }
  return arguments;
}

TracedCall parse_call(std::string_view name, std::string_view rest) {
  TracedCall call{.name = std::string(name), .arguments = {}};
  for (const std::string_view argument : split_arguments(rest)) {
    if (name == "clone") {  // by name, and the flags are not the first
      if (argument.starts_with("flags=")) call.arguments = {number(argument.substr(6))};
      continue;
    }
    call.arguments.push_back(number(argument));
  }
  return call;
}

struct Thread {
  std::string name;
  std::string policy;
};

}  // namespace

void add_trace(CallTrace& trace, std::string_view text) {
  std::map<std::string, Thread, std::less<>> threads;
  std::string main;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t space = line.find(' ');
    const size_t begin = line.find_first_not_of(' ', space);
    const size_t open = line.find('(');
    if (begin >= open || open == std::string_view::npos) continue;  // signals, exits
    const std::string_view name = line.substr(begin, open - begin);
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string_view::npos) continue;  // "<... resumed>"
    const std::string tid(line.substr(0, space));
    if (main.empty()) main = tid;
    Thread& thread = threads[tid];
    const TracedCall call = parse_call(name, line.substr(open + 1));
    // A thread is a child of one that has the setup policy; the main thread begins without any.
    if (tid != main && thread.policy.empty()) thread.policy = "setup";
    if (name == "prctl" && tid != main) {
      const size_t quote = line.find('"');
      const size_t close = line.find('"', quote + 1);
      if (quote != std::string_view::npos && close != std::string_view::npos) {
        thread.name = line.substr(quote + 1, close - quote - 1);
        while (!thread.name.empty() && thread.name.back() >= '0' && thread.name.back() <= '9') thread.name.pop_back();
      }
    }
    if (!thread.policy.empty()) trace[thread.policy].push_back(call);
    if (name == "seccomp") thread.policy = tid != main ? thread.name : thread.policy.empty() ? "setup" : "control";
  }
}

bool is_exercised(const vmm::sandbox::Rule& rule, const std::vector<TracedCall>& calls) {
  return std::ranges::any_of(calls, [&](const TracedCall& call) {
    return call.name == rule.call && std::ranges::all_of(rule.conditions, [&](const vmm::sandbox::Condition& c) {
             return c.argument < call.arguments.size() && call.arguments[c.argument] &&
                    (*call.arguments[c.argument] & c.mask) == c.value;
           });
  });
}

}  // namespace adyton::e2e
