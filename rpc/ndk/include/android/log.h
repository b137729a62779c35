// Log messages, for programs written against the Android NDK: names, numbers and signatures are those of its log.h.
//
// There is no log daemon: each line of a message goes to standard error as "I tag: line", which for a payload is the log of its
// virtual machine (`adyton logs`). Buffers have their numbers and no places of their own. Any thread; a message is written whole.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum android_LogPriority {
  ANDROID_LOG_UNKNOWN = 0,
  ANDROID_LOG_DEFAULT,
  ANDROID_LOG_VERBOSE,
  ANDROID_LOG_DEBUG,
  ANDROID_LOG_INFO,
  ANDROID_LOG_WARN,
  ANDROID_LOG_ERROR,
  ANDROID_LOG_FATAL,
  ANDROID_LOG_SILENT,
} android_LogPriority;

typedef enum log_id {
  LOG_ID_MIN = 0,
  LOG_ID_MAIN = 0,
  LOG_ID_RADIO = 1,
  LOG_ID_EVENTS = 2,
  LOG_ID_SYSTEM = 3,
  LOG_ID_CRASH = 4,
  LOG_ID_STATS = 5,
  LOG_ID_SECURITY = 6,
  LOG_ID_KERNEL = 7,
  LOG_ID_MAX,
  LOG_ID_DEFAULT = 0x7FFFFFFF,
} log_id_t;

// --- Messages: 1 for one that was written, -EPERM for one below the minimum priority. A null tag is the default tag. ---

int __android_log_write(int prio, const char* tag, const char* text);
int __android_log_print(int prio, const char* tag, const char* fmt, ...) __attribute__((__format__(printf, 3, 4)));
int __android_log_vprint(int prio, const char* tag, const char* fmt, va_list ap) __attribute__((__format__(printf, 3, 0)));
int __android_log_buf_write(int bufID, int prio, const char* tag, const char* text);
int __android_log_buf_print(int bufID, int prio, const char* tag, const char* fmt, ...) __attribute__((__format__(printf, 4, 5)));

// Writes the message, or, if `fmt` is null, the condition that failed, with ANDROID_LOG_FATAL, and ends the program.
void __android_log_assert(const char* cond, const char* tag, const char* fmt, ...) __attribute__((__noreturn__))
__attribute__((__format__(printf, 3, 4)));

struct __android_log_message {
  size_t struct_size;  // sizeof(struct __android_log_message)
  int32_t buffer_id;
  int32_t priority;
  const char* tag;   // may be null
  const char* file;  // may be null
  uint32_t line;     // of the file
  const char* message;
};
void __android_log_write_log_message(struct __android_log_message* log_message);

// --- Which messages are written: those of the minimum priority and above. ANDROID_LOG_DEFAULT, which it is at first, is all of
// them. ---

int32_t __android_log_set_minimum_priority(int32_t priority);  // returns the one before
int32_t __android_log_get_minimum_priority(void);
// Whether a message would be written; `default_prio` is the minimum where none has been set.
int __android_log_is_loggable(int prio, const char* tag, int default_prio);
int __android_log_is_loggable_len(int prio, const char* tag, size_t len, int default_prio);

// At first the name of the program.
void __android_log_set_default_tag(const char* tag);

// --- Where messages go, and how the program ends ---

typedef void (*__android_logger_function)(const struct __android_log_message* log_message);
void __android_log_set_logger(__android_logger_function logger);
void __android_log_stderr_logger(const struct __android_log_message* log_message);
void __android_log_logd_logger(const struct __android_log_message* log_message);  // the same here

typedef void (*__android_aborter_function)(const char* abort_message);
void __android_log_set_aborter(__android_aborter_function aborter);
void __android_log_call_aborter(const char* abort_message);
void __android_log_default_aborter(const char* abort_message);  // abort()

#ifdef __cplusplus
}
#endif
