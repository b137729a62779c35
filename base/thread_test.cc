#include "base/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <string>

namespace adyton {
namespace {

std::string current_name() {
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof(name));
  return name;
}

TEST(Thread, HasItsNameFromTheBeginning) {
  std::string name;
  start_thread("vcpu12", [&] { name = current_name(); })->join();
  EXPECT_EQ(name, "vcpu12");
}

TEST(Thread, TakesNoSignalsButFaultsAndLeavesTheCallersAsTheyWere) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  sigset_t inside;
  start_thread("worker", [&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &inside); })->join();
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD, SIGPIPE, SIGWINCH}) EXPECT_TRUE(::sigismember(&inside, signal)) << signal;
  for (const int signal : {SIGSYS, SIGSEGV, SIGBUS, SIGABRT, SIGRTMIN}) EXPECT_FALSE(::sigismember(&inside, signal)) << signal;
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < SIGRTMAX; ++signal) EXPECT_EQ(::sigismember(&before, signal), ::sigismember(&after, signal));
}

TEST(Thread, MayTakeAStopToken) {
  std::atomic<bool> stopped = false;
  auto thread = start_thread("worker", [&](const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
    stopped = true;
  });
  ASSERT_TRUE(thread);
  thread->request_stop();
  thread->join();
  EXPECT_TRUE(stopped);
}

std::atomic<int> hooked = 0;
void hook(const char* name) { hooked += std::string(name) == "hooked" && current_name() == "hooked"; }

TEST(Thread, TheHookRunsFirst) {
  set_thread_start_hook(hook);
  int seen = 0;
  start_thread("hooked", [&] { seen = hooked; })->join();
  set_thread_start_hook(nullptr);
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace adyton
