// Threads that belong to somebody: every one is joined, also when its owner is destroyed by one of them.
#pragma once
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"

namespace adyton::rpc {

// Threading: any thread.
class ThreadSet {
 public:
  ThreadSet() = default;
  ~ThreadSet();
  ThreadSet(const ThreadSet&) = delete;
  ThreadSet& operator=(const ThreadSet&) = delete;

  // Runs `body` on a new thread, and destroys it there; see start_thread() for `name`. kUnavailable after close(), or the error
  // of a system that has no more threads.
  Result<> start(std::string name, std::function<void()> body);
  // From now on start() fails.
  void close();
  // Waits for all, except the calling thread if it is one of them. That one is joined at some later start(), or when the process
  // ends.
  void join();

 private:
  struct Entry {
    std::jthread thread;
    std::atomic<bool> done = false;
  };
  using Entries = std::list<std::shared_ptr<Entry>>;
  class Leftovers;

  static Entries take_done(Entries& entries);
  static void join_all(Entries entries);

  std::mutex mutex_;
  bool closed_ = false;
  Entries entries_;
};

}  // namespace adyton::rpc
