// A trace as a text: each track a row of columns, from its beginning to its end, and what its slices took together.
//
// It is made while the trace runs, and in bounded memory: columns stand for more and more time as the trace gets longer.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/capture/output.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

class TimelineWriter final : public Writer {
 public:
  static constexpr size_t kColumns = 64;
  static constexpr size_t kMaxTracks = 512;  // more are counted, and not shown
  static constexpr size_t kMaxNames = 64;    // of one track's slices and instants; the others are "other"

  // The output stays the caller's.
  explicit TimelineWriter(capture::Output& output) : output_(output) {}

  Result<void> begin(const Process& process) override;
  Result<void> track(const Track& track) override;
  Result<void> event(const Event& event) override;
  Result<void> end() override;
  Result<void> flush() override { return {}; }  // there is nothing to see before the end

 private:
  struct Open {
    uint64_t begin = 0;
    std::string name;
  };
  struct Named {
    uint64_t count = 0;
    uint64_t time = 0;     // nanoseconds, of slices
    uint64_t longest = 0;  // likewise
  };
  struct Row {
    std::string name;
    TrackId parent = 0;
    bool counter = false;
    std::array<uint64_t, kColumns> busy{};   // nanoseconds in which a slice was open
    std::array<uint64_t, kColumns> marks{};  // instants; of a counter: values
    std::array<int64_t, kColumns> values{};  // of a counter: the largest of each column
    std::vector<Open> open;
    std::map<std::string, Named, std::less<>> names;
    int64_t least = 0, most = 0, last = 0;  // of a counter
    uint64_t count = 0;                     // likewise
  };

  // The column of a time, which has one afterwards. Times before the beginning are in none.
  std::optional<size_t> column(uint64_t time);
  void cover(Row& row, uint64_t begin, uint64_t end);
  static Named& named(Row& row, std::string_view name);
  [[nodiscard]] std::string chart(const Row& row) const;
  [[nodiscard]] std::string summary(const Row& row) const;

  capture::Output& output_;
  std::string process_;
  uint64_t begin_ = 0;
  uint64_t last_ = 0;           // the latest time
  uint64_t width_ = 1'000'000;  // nanoseconds of a column
  std::vector<TrackId> order_;  // as they came
  std::map<TrackId, Row> rows_;
  uint64_t left_out_ = 0;  // tracks
};

}  // namespace adyton::trace
