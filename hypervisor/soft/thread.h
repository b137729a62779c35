// A named helper thread that takes no signals: those belong to the program's own threads.
#pragma once
#include <pthread.h>

#include <csignal>
#include <thread>

namespace adyton::hypervisor::soft {

template <typename Function>
std::jthread start_thread(const char* name, Function function) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::jthread thread(std::move(function));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace adyton::hypervisor::soft
