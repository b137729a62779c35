#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <atomic>
#include <csignal>
#include <cstring>

namespace adyton {
namespace {
std::atomic<ThreadStartHook> start_hook = nullptr;
}

void set_thread_start_hook(ThreadStartHook hook) { start_hook = hook; }

unsigned available_processors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

namespace thread_internals {

static_assert(sizeof(sigset_t) <= 128);

BlockedSignals::BlockedSignals() {
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  for (const int fault : {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) ::sigdelset(&blocked, fault);
  for (int real_time = SIGRTMIN; real_time <= SIGRTMAX; ++real_time) ::sigdelset(&blocked, real_time);
  ::pthread_sigmask(SIG_SETMASK, &blocked, &before);
  std::memcpy(before_, &before, sizeof(before));
}

BlockedSignals::~BlockedSignals() {
  sigset_t before;
  std::memcpy(&before, before_, sizeof(before));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void begin(const char* name) {
  // The thread itself, by prctl(): pthread_setname_np() from outside writes to /proc, which a sandbox does not have.
  ::prctl(PR_SET_NAME, name);
  if (const ThreadStartHook hook = start_hook) hook(name);
}

}  // namespace thread_internals
}  // namespace adyton
