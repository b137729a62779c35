#include <android/log.h>
#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

namespace {

// A line of the log is to be readable: longer messages are cut, as Android's are (4068 bytes there).
constexpr size_t kMaxMessageSize = size_t{64} << 10;

std::atomic<int32_t> minimum_priority = ANDROID_LOG_DEFAULT;
std::atomic<__android_logger_function> logger_function = __android_log_stderr_logger;
std::atomic<__android_aborter_function> aborter_function = __android_log_default_aborter;

struct DefaultTag {
  std::mutex mutex;
  std::string text = ::program_invocation_short_name;  // guarded by mutex
};
// Programs log until their last destructor.
DefaultTag& default_tag() {
  static auto* tag = new DefaultTag;
  return *tag;
}

char letter(int priority) {
  constexpr std::string_view kLetters = "??VDIWEF";
  return priority >= 0 && static_cast<size_t>(priority) < kLetters.size() ? kLetters[static_cast<size_t>(priority)] : '?';
}

void append_line(std::string* text, char priority, std::string_view tag, std::string_view line) {
  text->append({priority, ' '}).append(tag).append(": ").append(line) += '\n';
}

// In one piece as a rule, so that lines of several threads and processes do not mix.
void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string format(const char* format, va_list arguments) {
  std::string text(512, '\0');
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
  if (size >= static_cast<int>(text.size())) {
    text.resize(std::min(static_cast<size_t>(size), kMaxMessageSize) + 1);
    std::vsnprintf(text.data(), text.size(), format, again);
  }
  va_end(again);
  text.resize(std::char_traits<char>::length(text.c_str()));
  return text;
}

int write_message(int buffer, int priority, const char* tag, const char* text) {
  if (__android_log_is_loggable(priority, tag, ANDROID_LOG_VERBOSE) == 0) return -EPERM;
  __android_log_message message{sizeof(message), buffer, priority, tag, nullptr, 0, text};
  __android_log_write_log_message(&message);
  return 1;
}

}  // namespace

int __android_log_write(int prio, const char* tag, const char* text) { return write_message(LOG_ID_MAIN, prio, tag, text); }

int __android_log_vprint(int prio, const char* tag, const char* fmt, va_list ap) {
  const int error = errno;  // %m
  if (__android_log_is_loggable(prio, tag, ANDROID_LOG_VERBOSE) == 0) return -EPERM;
  errno = error;
  return write_message(LOG_ID_MAIN, prio, tag, format(fmt, ap).c_str());
}

int __android_log_print(int prio, const char* tag, const char* fmt, ...) {
  va_list arguments;
  va_start(arguments, fmt);
  const int result = __android_log_vprint(prio, tag, fmt, arguments);
  va_end(arguments);
  return result;
}

int __android_log_buf_write(int bufID, int prio, const char* tag, const char* text) {
  return write_message(bufID, prio, tag, text);
}

int __android_log_buf_print(int bufID, int prio, const char* tag, const char* fmt, ...) {
  va_list arguments;
  va_start(arguments, fmt);
  const std::string text = format(fmt, arguments);
  va_end(arguments);
  return write_message(bufID, prio, tag, text.c_str());
}

void __android_log_assert(const char* cond, const char* tag, const char* fmt, ...) {
  std::string text = "Unspecified assertion failed";
  if (fmt != nullptr) {
    va_list arguments;
    va_start(arguments, fmt);
    text = format(fmt, arguments);
    va_end(arguments);
  } else if (cond != nullptr) {
    text = std::string("Assertion failed: ") + cond;
  }
  write_message(LOG_ID_MAIN, ANDROID_LOG_FATAL, tag, text.c_str());
  __android_log_call_aborter(text.c_str());
  // An aborter that returns has not done what it is for.
  std::abort();
}

void __android_log_write_log_message(__android_log_message* log_message) {
  const int error = errno;
  std::string tag;
  if (log_message->tag == nullptr) {
    const std::lock_guard guard(default_tag().mutex);
    tag = default_tag().text;
    log_message->tag = tag.c_str();
  }
  logger_function.load()(log_message);
  if (log_message->tag == tag.c_str()) log_message->tag = nullptr;
  errno = error;
}

int32_t __android_log_set_minimum_priority(int32_t priority) { return minimum_priority.exchange(priority); }
int32_t __android_log_get_minimum_priority() { return minimum_priority.load(); }

int __android_log_is_loggable(int prio, const char*, int default_prio) {
  const int32_t minimum = minimum_priority.load();
  return prio >= (minimum == ANDROID_LOG_DEFAULT ? default_prio : minimum) ? 1 : 0;
}
int __android_log_is_loggable_len(int prio, const char* tag, size_t, int default_prio) {
  return __android_log_is_loggable(prio, tag, default_prio);
}

void __android_log_set_default_tag(const char* tag) {
  const std::lock_guard guard(default_tag().mutex);
  default_tag().text = tag;
}

void __android_log_set_logger(__android_logger_function logger) { logger_function = logger; }
void __android_log_stderr_logger(const __android_log_message* log_message) {
  const char priority = letter(log_message->priority);
  const std::string_view tag = log_message->tag != nullptr ? log_message->tag : "";
  std::string_view rest = log_message->message != nullptr ? log_message->message : "";
  rest = rest.substr(0, kMaxMessageSize);
  std::string place;
  if (log_message->file != nullptr) place = std::string(log_message->file) + ":" + std::to_string(log_message->line) + "] ";
  std::string text;
  // A newline at the end of a message is not a line more.
  do {
    const size_t end = std::min(rest.find('\n'), rest.size());
    append_line(&text, priority, tag, place + std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  } while (!rest.empty());
  write_all(text);
}
void __android_log_logd_logger(const __android_log_message* log_message) { __android_log_stderr_logger(log_message); }

void __android_log_set_aborter(__android_aborter_function aborter) { aborter_function = aborter; }
void __android_log_call_aborter(const char* abort_message) { aborter_function.load()(abort_message); }
void __android_log_default_aborter(const char*) { std::abort(); }
