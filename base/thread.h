// Threads that are named after what they do, and that take no signals.
#pragma once
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace adyton {

// Runs first on every thread that start_thread() starts, with the thread's name ("vcpu3"). It is for the process's sandbox: a
// hook that cannot restrict the thread ends the process. Set before the first thread, or not at all.
using ThreadStartHook = void (*)(const char* name);
void set_thread_start_hook(ThreadStartHook hook);

// On which the calling thread may run; 1 when the kernel does not say. One system call, sched_getaffinity.
unsigned available_processors();

namespace thread_internals {

// What a new thread inherits: signals are for the program's main thread. Those that tell of what the thread itself did, and
// real-time signals, stay deliverable.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  alignas(16) unsigned char before_[128];  // a sigset_t
};

void begin(const char* name);

}  // namespace thread_internals

// Runs `function` on a thread of its own; it may take a std::stop_token. At most 15 bytes of `name` are shown by ps and
// debuggers.
template <typename Function>
Result<std::jthread> start_thread(std::string name, Function function) {
  const thread_internals::BlockedSignals blocked;
  try {
    return std::jthread([name = std::move(name), function = std::move(function)](std::stop_token stop) mutable {
      thread_internals::begin(name.c_str());
      if constexpr (std::is_invocable_v<Function&, std::stop_token>) {
        function(std::move(stop));
      } else {
        function();
      }
    });
  } catch (const std::system_error& error) { return fail_errno("cannot start a thread", error.code().value()); }
}

}  // namespace adyton
