#include "tools/trace/chrome_writer.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace adyton::trace {
namespace {

std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<void> ChromeWriter::write(std::string_view text) {
  return output_.write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// "M" events name processes and threads; a track is a thread here.
Result<void> ChromeWriter::name(std::string_view what, TrackId track, std::string_view name) {
  return write(
      fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":{}}}}})", what, pid_, track, quoted(name)));
}

Result<void> ChromeWriter::begin(const Process& process) {
  pid_ = process.pid;
  TRY(write(
      fmt::format(R"({{"displayTimeUnit":"ns","otherData":{{"clock":"CLOCK_MONOTONIC","started":"{}.{:09}"}},"traceEvents":[)"
                  "\n",
                  process.realtime / 1'000'000'000, process.realtime % 1'000'000'000)));
  return name("process_name", kProcessTrack, process.name);
}

Result<void> ChromeWriter::track(const Track& track) {
  if (counters_.size() <= track.id) counters_.resize(track.id + 1);
  if (track.counter) {
    // A counter is known by its name, and has no thread.
    counters_[track.id] = track.name;
    return {};
  }
  TRY(write(",\n"));
  return name("thread_name", track.id, track.name);
}

Result<void> ChromeWriter::event(const Event& event) {
  line_.clear();
  const auto out = std::back_inserter(line_);
  const char* phase = event.type == Event::Type::kBegin     ? "B"
                      : event.type == Event::Type::kEnd     ? "E"
                      : event.type == Event::Type::kInstant ? "i"
                                                            : "C";
  // Microseconds, as the format has it.
  fmt::format_to(out, ",\n{{\"ph\":\"{}\",\"ts\":{}.{:03},\"pid\":{},\"tid\":{}", phase, event.time / 1000, event.time % 1000,
                 pid_, event.track);
  if (event.type == Event::Type::kInstant) line_ += ",\"s\":\"t\"";
  if (event.type == Event::Type::kCounter) {
    const std::string_view name = event.track < counters_.size() ? std::string_view(counters_[event.track]) : "";
    fmt::format_to(out, ",\"name\":{},\"args\":{{\"value\":{}}}}}", quoted(name), event.value);
    return write(line_);
  }
  if (event.type != Event::Type::kEnd) fmt::format_to(out, ",\"cat\":{},\"name\":{}", quoted(event.category), quoted(event.name));
  if (!event.arguments.empty()) {
    line_ += ",\"args\":{";
    for (const Argument& argument : event.arguments) {
      fmt::format_to(out, "{}{}:", &argument == event.arguments.data() ? "" : ",", quoted(argument.name));
      if (const auto* number = std::get_if<uint64_t>(&argument.value)) fmt::format_to(out, "{}", *number);
      if (const auto* address = std::get_if<Address>(&argument.value)) fmt::format_to(out, "\"{:#x}\"", address->value);
      if (const auto* text = std::get_if<std::string_view>(&argument.value)) line_ += quoted(*text);
    }
    line_ += "}";
  }
  line_ += "}";
  return write(line_);
}

Result<void> ChromeWriter::end() {
  TRY(write("\n]}\n"));
  return output_.flush();
}

}  // namespace adyton::trace
