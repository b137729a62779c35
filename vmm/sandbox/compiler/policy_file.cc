#include "vmm/sandbox/compiler/policy_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <csignal>

namespace adyton::vmm::sandbox {
namespace {

struct Constant {
  std::string_view name;
  uint64_t value;
};
#define C(name) \
  { #name, static_cast < uint64_t>(name) }
constexpr Constant kConstants[] = {
    C(PROT_EXEC),  C(PROT_WRITE), C(MADV_DONTNEED), C(PR_SET_TIMERSLACK), C(PR_SET_NAME), C(AF_UNIX),
    C(BLKDISCARD), C(BLKZEROOUT), C(BLKGETSIZE64),  C(F_DUPFD_CLOEXEC),   C(F_ADD_SEALS), C(F_GET_SEALS),
    C(F_GETFL),    C(SO_SNDBUF),  C(CLONE_THREAD),  C(SIGPIPE),           C(SIGXFSZ),     C(SECCOMP_SET_MODE_FILTER),
    C(ENOSYS)};
#undef C

struct ArgumentName {
  std::string_view call, argument;
  unsigned index;
};
constexpr ArgumentName kArgumentNames[] = {
    {"mmap", "prot", 2},         {"mprotect", "prot", 2}, {"madvise", "advice", 2},      {"prctl", "option", 0},
    {"ioctl", "request", 1},     {"fcntl", "command", 1}, {"socketpair", "domain", 0},   {"setsockopt", "option", 2},
    {"getsockopt", "option", 2}, {"clone", "flags", 0},   {"rt_sigaction", "signal", 0}, {"seccomp", "operation", 0},
    {"prlimit64", "pid", 0}};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> value_of(std::string_view text) {
  uint64_t sum = 0;
  for (;;) {  // NAME|NAME|0x1
    const size_t bar = text.find('|');
    const std::string_view word = trimmed(text.substr(0, bar));
    std::optional<uint64_t> value;
    for (const Constant& constant : kConstants) {
      if (constant.name == word) value = constant.value;
    }
    if (!value) {
      const bool hex = word.starts_with("0x");
      const std::string_view digits = hex ? word.substr(2) : word;
      uint64_t number = 0;
      const auto end = digits.data() + digits.size();
      const auto parsed = std::from_chars(digits.data(), end, number, hex ? 16 : 10);
      if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
      value = number;
    }
    sum |= *value;
    if (bar == std::string_view::npos) return sum;
    text.remove_prefix(bar + 1);
  }
}

std::optional<unsigned> argument_of(std::string_view call, std::string_view word) {
  if (word.size() == 4 && word.starts_with("arg") && word[3] >= '0' && word[3] <= '5')
    return static_cast<unsigned>(word[3] - '0');
  for (const ArgumentName& name : kArgumentNames) {
    if (name.call == call && name.argument == word) return name.index;
  }
  return std::nullopt;
}

// ARGUMENT [& MASK] == VALUE
std::optional<Condition> parse_condition(std::string_view call, std::string_view text) {
  const size_t equals = text.find("==");
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view left = text.substr(0, equals);
  const size_t ampersand = left.find('&');
  Condition condition;
  const auto argument = argument_of(call, trimmed(left.substr(0, ampersand)));
  const auto value = value_of(text.substr(equals + 2));
  const auto mask = ampersand == std::string_view::npos ? std::optional(UINT64_MAX) : value_of(left.substr(ampersand + 1));
  if (!argument || !value || !mask) return std::nullopt;
  return Condition{.argument = *argument, .mask = *mask, .value = *value};
}

Result<Rule> parse_rule(std::string_view text, std::string_view reason) {
  Rule rule{.reason = std::string(reason)};
  if (reason.empty()) return fail(ErrorCode::kInvalidArgument, "a call needs a comment that says what for");
  if (text.front() == '?') {
    rule.rare = true;
    text.remove_prefix(1);
    const size_t semicolon = reason.rfind(';');
    if (semicolon != std::string_view::npos) rule.rare_because = trimmed(reason.substr(semicolon + 1));
    const bool known =
        rule.rare_because == "by chance" || rule.rare_because == "on some hosts" || rule.rare_because.starts_with("needs ");
    if (!known) {
      return fail(ErrorCode::kInvalidArgument,
                  "a call with a question mark needs a comment that ends with '; by chance', '; on some hosts' or '; needs ...'");
    }
  }
  const size_t end = text.find_first_of(" \t");
  rule.call = text.substr(0, end);
  std::string_view rest = end == std::string_view::npos ? std::string_view() : trimmed(text.substr(end));
  if (rest.starts_with("=") && !rest.starts_with("==")) {
    const auto error = value_of(rest.substr(1));
    if (!error || *error == 0 || *error > 4095) return fail(ErrorCode::kInvalidArgument, "not an error number");
    rule.error = static_cast<int>(*error);
    return rule;
  }
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const auto condition = parse_condition(rule.call, rest.substr(0, comma));
    if (!condition) return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no condition", trimmed(rest.substr(0, comma))));
    rule.conditions.push_back(*condition);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return rule;
}

}  // namespace

Result<std::vector<Rule>> parse_policy(std::string_view name, std::string_view text) {
  std::vector<Rule> rules;
  for (unsigned number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const size_t hash = line.find('#');
    const std::string_view code = trimmed(line.substr(0, hash));
    if (code.empty()) continue;
    auto rule = parse_rule(code, hash == std::string_view::npos ? std::string_view() : trimmed(line.substr(hash + 1)));
    if (!rule) return fail(rule.error().code, fmt::format("{}:{}: {}", name, number, rule.error().message));
    rules.push_back(std::move(*rule));
  }
  if (rules.empty()) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: a policy without a call", name));
  return rules;
}

}  // namespace adyton::vmm::sandbox
