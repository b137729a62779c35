// The log: what the programs adytond and adyton-vmm have to say to whoever looks after them. Not for what a program tells its own
// user (cli/message.h), and never for secrets or a guest's data.
//
//   const log::Logger log("vm", {{"vm", name}, {"cid", cid}});        // every line of it has the VM's name
//   log.info({{"pid", pid}}, "started");
//   log.warning(limit_, {{"device", "block"}}, "the guest's driver broke the device: {}", reason);
//
// Whatever a guest, a client or another peer can cause goes through a RateLimit (rate_limit.h) of theirs. After messages that it
// suppressed, the next one of the same kind is preceded by a line that says how many they were (field "suppressed"), and what
// their text was before it was formatted: nothing of a guest's is in it.
//
// Until the program has called start() (sinks.h) nothing is written: a library logs into a program only if that wants it. What
// is below the threshold costs one load and a branch: no argument is formatted, nothing is allocated, no limit is touched; so a
// vCPU's run loop may log. What is written is made in a buffer on the stack (about 7 KiB) and handed over by one system call.
//
// Threading: any thread; lines are whole. Not in signal handlers: formatting may take locks of the C library. Not between fork()
// and exec().
#pragma once
#include <fmt/core.h>

#include <atomic>
#include <initializer_list>
#include <memory>

#include "base/log/rate_limit.h"
#include "base/log/record.h"

namespace adyton::log {

namespace internals {
extern std::atomic<Level> threshold;
}

// Whether messages of that level are written.
[[nodiscard]] inline bool enabled(Level level) { return level <= internals::threshold.load(std::memory_order_relaxed); }

// The threshold; off before start().
[[nodiscard]] inline Level level() { return internals::threshold.load(std::memory_order_relaxed); }

class Logger {
 public:
  using Fields = std::initializer_list<Field>;

  // `component` is a literal: it is not copied. `context` is, and is part of every line.
  explicit Logger(const char* component) : component_(component) {}
  Logger(const char* component, Fields context);

  // The same context, another component.
  [[nodiscard]] Logger for_component(const char* component) const {
    Logger other = *this;
    other.component_ = component;
    return other;
  }

  template <typename... Args>
  void error(Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(Level::kError)) write(Level::kError, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void warning(Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(Level::kWarning)) write(Level::kWarning, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void info(Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(Level::kInfo)) write(Level::kInfo, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void debug(Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (enabled(Level::kDebug)) write(Level::kDebug, fields, text, fmt::make_format_args(args...));
  }

  template <typename... Args>
  void error(RateLimit& limit, Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (admits(Level::kError, limit, text)) write(Level::kError, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void warning(RateLimit& limit, Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (admits(Level::kWarning, limit, text)) write(Level::kWarning, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void info(RateLimit& limit, Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (admits(Level::kInfo, limit, text)) write(Level::kInfo, fields, text, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void debug(RateLimit& limit, Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (admits(Level::kDebug, limit, text)) write(Level::kDebug, fields, text, fmt::make_format_args(args...));
  }

  // At a level that the caller works out.
  template <typename... Args>
  void at(Level level, RateLimit& limit, Fields fields, fmt::format_string<Args...> text, Args&&... args) const {
    if (admits(level, limit, text)) write(level, fields, text, fmt::make_format_args(args...));
  }

  // A line that another process has written, in this log's context. `record.context` is not looked at.
  void relay(const Record& record) const;

  // Whether a message of that level may be written now; says before that how many others have been suppressed, and `what` they
  // were.
  [[nodiscard]] bool admits(Level level, RateLimit& limit, fmt::string_view what) const {
    return enabled(level) && ask(level, limit, what);
  }
  // Says so without a message, if there were any: when no other will come.
  void tell_suppressed(Level level, RateLimit& limit, fmt::string_view what) const;

 private:
  struct Context;
  bool ask(Level level, RateLimit& limit, fmt::string_view what) const;
  void say_suppressed(Level level, uint64_t count, fmt::string_view what) const;
  void write(Level level, Fields fields, fmt::string_view text, fmt::format_args args) const;

  const char* component_;
  std::shared_ptr<const Context> context_;
};

}  // namespace adyton::log
