#include "sdk/callback_thread.h"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>

namespace adyton::sdk {

struct CallbackThread::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  bool stopping = false;
  std::thread thread;

  void loop() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stopping || !tasks.empty(); });
      if (stopping) break;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it held may be the last of its kind, and call us
      lock.lock();
    }
    auto dropped = std::move(tasks);
    tasks.clear();
    lock.unlock();
  }
};

CallbackThread::CallbackThread() : state_(std::make_shared<State>()) {
  // The thread takes no signals: they are for the program's own.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  state_->thread = std::thread([state = state_] { state->loop(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

CallbackThread::~CallbackThread() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  if (is_current()) {
    state_->thread.detach();
  } else {
    state_->thread.join();
  }
}

bool CallbackThread::is_current() const { return std::this_thread::get_id() == state_->thread.get_id(); }

void CallbackThread::post(std::function<void()> task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->tasks.push_back(std::move(task));
  }
  state_->changed.notify_one();
}

}  // namespace adyton::sdk
