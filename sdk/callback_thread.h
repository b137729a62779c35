// The library's own thread, on which callbacks run: one after the other, in the order they were posted, with no lock held.
#pragma once
#include <functional>
#include <memory>

namespace adyton::sdk {

// Threading: any thread. It may be destroyed on its own thread, by the last task that knows it.
class CallbackThread {
 public:
  CallbackThread();
  // Waits for the task that runs, unless that is the caller; those behind it are dropped.
  ~CallbackThread();
  CallbackThread(const CallbackThread&) = delete;
  CallbackThread& operator=(const CallbackThread&) = delete;

  void post(std::function<void()> task);
  [[nodiscard]] bool is_current() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace adyton::sdk
