// An observer that writes down what it hears, for other threads to wait for.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "service/vm.h"

namespace adyton::service::testing {

class Recorder final : public VmObserver {
 public:
  void payload_started(uint32_t) override { add("started"); }
  void payload_ready(uint32_t) override { add("ready"); }
  void payload_finished(uint32_t, int32_t exit_code) override { add("finished " + std::to_string(exit_code)); }
  void error(uint32_t, GuestError error, const std::string& message) override {
    add("error " + std::to_string(static_cast<int>(error)) + ": " + message);
  }
  void died(uint32_t, const Death& death) override {
    std::lock_guard lock(mutex_);
    death_ = death;
    events_.push_back("died " + std::to_string(static_cast<int>(death.reason)) + ": " + death.message);
    changed_.notify_all();
  }

  std::vector<std::string> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }
  void wait_for(const std::string& event) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return std::find(events_.begin(), events_.end(), event) != events_.end(); });
  }
  Death wait_for_death() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return death_.has_value(); });
    return *death_;
  }

 private:
  void add(std::string event) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::optional<Death> death_;
};

}  // namespace adyton::service::testing
