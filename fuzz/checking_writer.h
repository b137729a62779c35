// What any reader of our traces relies on: tracks are told before they are used, slices are whole, times are possible.
#pragma once
#include <algorithm>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "observe/trace_source.h"
#include "tools/trace/writer.h"

namespace adyton::fuzz {

class CheckingWriter final : public trace::Writer {
 public:
  explicit CheckingWriter(trace::Writer& to) : to_(to) {}
  Result<void> begin(const trace::Process& process) override { return to_.begin(process); }
  Result<void> track(const trace::Track& track) override {
    require(track.id == depth_.size() && track.id < 400);
    depth_.push_back(0);
    return to_.track(track);
  }
  Result<void> event(const trace::Event& event) override {
    require(event.track < depth_.size() && event.time <= observe::TraceSource::now());
    if (event.type == trace::Event::Type::kBegin) ++depth_[event.track];
    if (event.type == trace::Event::Type::kEnd) require(depth_[event.track]-- > 0);
    return to_.event(event);
  }
  Result<void> end() override {
    require(std::ranges::all_of(depth_, [](int open) { return open == 0; }));
    return to_.end();
  }
  Result<void> flush() override { return to_.flush(); }

 private:
  trace::Writer& to_;
  std::vector<int> depth_ = {0, 0};
};

}  // namespace adyton::fuzz
