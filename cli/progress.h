// Says on a terminal what is being waited for, when it takes longer than a second, and takes it back when it is over.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace adyton::cli {

// Threading: all methods from any thread.
class Progress {
 public:
  // Writes to `fd`; does nothing at all unless `enabled`.
  Progress(int fd, bool enabled);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // "Preparing the guest's kernel". Shown once the first step since clear() is a second old.
  void step(std::string text);
  // Erases what is shown. Returns when nothing will be written any more until the next step().
  void clear();

 private:
  void show_loop();

  const int fd_;
  const bool enabled_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;  // empty: idle
  bool shown_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace adyton::cli
