// What an adyton-vmm writes to its standard error: its log, as lines of JSON (base/log/line.h), which are passed on with the VM's
// name, and whatever else comes out of a process that dies. The process may be in its guest's hands: lines are bounded in length
// and number, and nothing of them is believed but that this VM's process said them.
//
// Threading: that of the caller.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/log/logger.h"

namespace adyton::service {

// One line, taken apart. Views of what it was made of are not kept.
struct VmmLine {
  struct Value {
    std::string key;
    std::string text;
    bool is_number = false;
    int64_t number = 0;
  };
  log::Level level = log::Level::kError;
  std::string component = "vmm";
  std::string message;
  std::vector<Value> fields;
};
// A line that is not of our log is an error message of its own. Total on any input (fuzzed).
VmmLine parse_vmm_line(std::string_view line);

class VmmLog {
 public:
  static constexpr size_t kMaxLine = 4096;  // bytes; the rest of a longer one is dropped
  static constexpr size_t kMaxFields = 8;   // of a line
  static constexpr uint32_t kBurst = 100;   // lines that may come at once, and then one per kInterval
  static constexpr std::chrono::milliseconds kInterval{200};

  // `log` names the VM.
  explicit VmmLog(log::Logger log) : log_(std::move(log)) {}
  void set_pid(pid_t pid) { pid_ = pid; }

  // Bytes as they come.
  void take(std::string_view bytes);
  // No more of them come.
  void finish();
  // The last thing that it called an error, or that is none of our log's lines; for the reason of its death.
  [[nodiscard]] const std::string& last_words() const { return last_words_; }

 private:
  void take_line(std::string_view line);

  const log::Logger log_;
  log::RateLimit limit_{kBurst, kInterval};
  pid_t pid_ = 0;
  std::string line_;  // what has come of the next one
  bool skipping_ = false;
  std::string last_words_;
};

}  // namespace adyton::service
