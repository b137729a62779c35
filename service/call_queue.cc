#include "service/call_queue.h"

#include "base/thread.h"

namespace adyton::service {

CallQueue::~CallQueue() {
  std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->changed.notify_one();
}

bool CallQueue::post(Task task) {
  std::lock_guard lock(state_->mutex);
  if (state_->tasks.size() >= kMaxPending) return false;
  state_->tasks.push_back(std::move(task));
  state_->changed.notify_one();
  return true;
}

void CallQueue::post_always(Task task) {
  std::lock_guard lock(state_->mutex);
  state_->tasks.push_back(std::move(task));
  state_->changed.notify_one();
}

void CallQueues::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return threads_ == 0; });
}

Result<std::shared_ptr<CallQueue>> CallQueues::make(const char* name) {
  auto state = std::make_shared<CallQueue::State>();
  {
    std::lock_guard lock(mutex_);
    ++threads_;
  }
  auto thread = start_thread(name, [this, state] {
    std::unique_lock lock(state->mutex);
    for (;;) {
      state->changed.wait(lock, [&] { return state->closed || !state->tasks.empty(); });
      if (state->tasks.empty()) break;
      CallQueue::Task task = std::move(state->tasks.front());
      state->tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds may be a proxy, whose end is a call too
      lock.lock();
    }
    lock.unlock();
    std::lock_guard all(mutex_);
    --threads_;
    changed_.notify_all();
  });
  if (!thread) {
    std::lock_guard lock(mutex_);
    --threads_;
    return std::unexpected(std::move(thread).error());
  }
  thread->detach();
  return std::shared_ptr<CallQueue>(new CallQueue(std::move(state)));
}

Result<std::shared_ptr<CallQueue>> CallQueues::of(uint64_t session) {
  {
    std::lock_guard lock(mutex_);
    std::erase_if(sessions_, [](const auto& entry) { return entry.second.expired(); });
    if (const auto found = sessions_.find(session); found != sessions_.end()) {
      if (auto queue = found->second.lock()) return queue;
    }
  }
  auto queue = TRY(make("callbacks"));
  std::lock_guard lock(mutex_);
  auto& place = sessions_[session];
  if (auto other = place.lock()) return other;  // another thread was quicker
  place = queue;
  return queue;
}

}  // namespace adyton::service
