// The log of a test: what is written while this object is there is kept instead.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "base/log/line.h"
#include "base/log/logger.h"
#include "base/log/sinks.h"

namespace adyton::log {

class CapturedLog final : public Sink {
 public:
  explicit CapturedLog(Level level = Level::kDebug) {
    before_ = internals::exchange_sink(this);
    level_before_ = internals::threshold.exchange(level);
  }
  // No other thread may be about to log.
  ~CapturedLog() override {
    internals::threshold = level_before_;
    internals::exchange_sink(before_);
  }

  void write(const Record& record) override {
    Line line;
    line.append(to_string(record.level));
    line.append(" ");
    write_message(line, record);
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line.text());
  }

  // How many lines of one RateLimit there can be since this object was made: each may have one before it that tells of others.
  [[nodiscard]] size_t most_lines_of_a_limit() const {
    return 2 * (RateLimit::kBurst + 1 + static_cast<size_t>((RateLimit::Clock::now() - begin_) / RateLimit::kInterval));
  }

  // "warning virtio[4711] device=block: words"
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  const RateLimit::Clock::time_point begin_ = RateLimit::Clock::now();
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  Sink* before_ = nullptr;
  Level level_before_ = Level::kOff;
};

}  // namespace adyton::log
