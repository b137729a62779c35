// Calls to a client, one after the other on a thread of their own: a client that takes nothing delays nobody else.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/result.h"

namespace adyton::service {

class CallQueues;

// Threading: any. Tasks that are queued when the last reference goes are still run.
class CallQueue {
 public:
  using Task = std::function<void()>;
  static constexpr size_t kMaxPending = 64;

  ~CallQueue();
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  // False, and the task is dropped, if kMaxPending wait already.
  bool post(Task task);
  // Of a kind that the caller knows to be bounded.
  void post_always(Task task);

 private:
  friend class CallQueues;
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Task> tasks;  // guarded by mutex
    bool closed = false;     // guarded by mutex
  };

  explicit CallQueue(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;
};

// The queues of all clients. Threading: any.
class CallQueues {
 public:
  CallQueues() = default;
  ~CallQueues() { wait(); }
  CallQueues(const CallQueues&) = delete;
  CallQueues& operator=(const CallQueues&) = delete;

  // The one queue of a session; it ends with its last reference.
  Result<std::shared_ptr<CallQueue>> of(uint64_t session);
  // One more.
  Result<std::shared_ptr<CallQueue>> make(const char* name);
  // Until all queues have ended, their last tasks included: the sessions have ended by then, so that no call waits any more.
  void wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t threads_ = 0;                                     // guarded by mutex_
  std::map<uint64_t, std::weak_ptr<CallQueue>> sessions_;  // guarded by mutex_
};

}  // namespace adyton::service
