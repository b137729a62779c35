// A writer that keeps what it is told, and a ring to decode.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "observe/record_ring.h"
#include "observe/trace_record.h"
#include "tools/trace/decoder.h"
#include "tools/trace/writer.h"

namespace adyton::trace::testing {

// Lines like "vCPU 0 +100 begin vcpu guest (exit=mmio)", and checks what every writer may rely on.
class TextWriter final : public Writer {
 public:
  Result<void> begin(const Process& process) override {
    lines.push_back(fmt::format("process {}", process.name));
    return {};
  }
  Result<void> track(const Track& track) override {
    EXPECT_GT(track.id, kProcessTrack);
    EXPECT_TRUE(track.parent == kProcessTrack || names.contains(track.parent));
    EXPECT_TRUE(names.emplace(track.id, track.name).second) << "track " << track.id << " twice";
    return {};
  }
  Result<void> event(const Event& event) override {
    EXPECT_TRUE(event.track == kProcessTrack || names.contains(event.track));
    if (event.type == Event::Type::kBegin) open[event.track].push_back(event.time);
    if (event.type == Event::Type::kEnd) {
      EXPECT_FALSE(open[event.track].empty()) << "an end without its begin";
      if (!open[event.track].empty()) {
        EXPECT_LE(open[event.track].back(), event.time);
        open[event.track].pop_back();
      }
    }
    latest = std::max(latest, event.time);
    static constexpr const char* kTypes[] = {"begin", "end", "instant", "counter"};
    std::string line = fmt::format("{} +{} {}", event.track == kProcessTrack ? "process" : names[event.track], event.time - zero,
                                   kTypes[static_cast<size_t>(event.type)]);
    if (!event.name.empty()) line += fmt::format(" {} {}", event.category, event.name);
    for (const Argument& argument : event.arguments) {
      line += fmt::format(" {}=", argument.name);
      if (const auto* number = std::get_if<uint64_t>(&argument.value)) line += fmt::format("{}", *number);
      if (const auto* address = std::get_if<Address>(&argument.value)) line += fmt::format("{:#x}", address->value);
      if (const auto* text = std::get_if<std::string_view>(&argument.value)) line += *text;
    }
    if (event.type == Event::Type::kCounter) line += fmt::format(" {}", event.value);
    lines.push_back(std::move(line));
    return {};
  }
  Result<void> end() override {
    ended = true;
    return {};
  }
  Result<void> flush() override { return {}; }

  [[nodiscard]] size_t open_slices() const {
    size_t sum = 0;
    for (const auto& [track, slices] : open) sum += slices.size();
    return sum;
  }

  uint64_t zero = 0;
  uint64_t latest = 0;
  bool ended = false;
  std::vector<std::string> lines;
  std::map<TrackId, std::string> names;
  std::map<TrackId, std::vector<uint64_t>> open;
};

template <typename T>
std::span<const uint8_t> bytes_of(const T& what) {
  return {reinterpret_cast<const uint8_t*>(&what), sizeof(what)};
}

}  // namespace adyton::trace::testing
