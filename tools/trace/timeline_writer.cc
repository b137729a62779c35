#include "tools/trace/timeline_writer.h"

#include <fmt/format.h>

#include <algorithm>

namespace adyton::trace {
namespace {

std::string time_of(uint64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (value < 999.5e3) return fmt::format("{:.1f} us", value / 1e3);
  if (value < 999.5e6) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.2f} s", value / 1e9);
}

std::string plural(uint64_t count) { return fmt::format("{} time{}", count, count == 1 ? "" : "s"); }

constexpr std::string_view kShades = ".:-=+*#%@";  // of a column: more and more of its time, or of the largest value

char shade(double share) {
  if (share <= 0) return ' ';
  const auto level = static_cast<size_t>(share * static_cast<double>(kShades.size()));
  return kShades[std::min(level, kShades.size() - 1)];
}

}  // namespace

Result<void> TimelineWriter::begin(const Process& process) {
  process_ = process.name;
  begin_ = last_ = process.monotonic;
  rows_[kProcessTrack].name = process.name;
  order_.push_back(kProcessTrack);
  return {};
}

Result<void> TimelineWriter::track(const Track& track) {
  if (rows_.size() >= kMaxTracks) {
    ++left_out_;
    return {};
  }
  Row& row = rows_[track.id];
  row.name = track.name;
  row.parent = track.parent;
  row.counter = track.counter;
  order_.push_back(track.id);
  return {};
}

std::optional<size_t> TimelineWriter::column(uint64_t time) {
  last_ = std::max(last_, time);
  if (time < begin_) return std::nullopt;
  while ((time - begin_) / width_ >= kColumns) {
    width_ *= 2;
    for (auto& [id, row] : rows_) {
      for (size_t i = 0; i < kColumns; ++i) {
        const bool within = 2 * i + 1 < kColumns;
        row.busy[i] = within ? row.busy[2 * i] + row.busy[2 * i + 1] : 0;
        row.marks[i] = within ? row.marks[2 * i] + row.marks[2 * i + 1] : 0;
        row.values[i] = within ? std::max(row.values[2 * i], row.values[2 * i + 1]) : 0;
      }
    }
  }
  return static_cast<size_t>((time - begin_) / width_);
}

void TimelineWriter::cover(Row& row, uint64_t begin, uint64_t end) {
  begin = std::max(begin, begin_);
  if (end <= begin) return;
  const size_t last = *column(end);  // first of all, as it may make columns wider
  for (size_t i = *column(begin); i <= last; ++i) {
    const uint64_t from = begin_ + i * width_;
    row.busy[i] += std::min(end, from + width_) - std::max(begin, from);
  }
}

TimelineWriter::Named& TimelineWriter::named(Row& row, std::string_view name) {
  if (const auto found = row.names.find(name); found != row.names.end()) return found->second;
  return row.names[row.names.size() < kMaxNames ? std::string(name) : "other"];
}

Result<void> TimelineWriter::event(const Event& event) {
  const auto found = rows_.find(event.track);
  if (found == rows_.end()) return {};
  Row& row = found->second;
  switch (event.type) {
    case Event::Type::kBegin: row.open.push_back({.begin = event.time, .name = std::string(event.name)}); break;
    case Event::Type::kEnd: {
      if (row.open.empty()) break;
      const Open slice = std::move(row.open.back());
      row.open.pop_back();
      const uint64_t time = event.time - std::min(slice.begin, event.time);
      Named& all = named(row, slice.name);
      ++all.count;
      all.time += time;
      all.longest = std::max(all.longest, time);
      if (row.open.empty()) cover(row, slice.begin, event.time);  // what is inside of another slice is covered with that
      break;
    }
    case Event::Type::kInstant:
      ++named(row, event.name).count;
      if (const auto place = column(event.time)) ++row.marks[*place];
      break;
    case Event::Type::kCounter:
      row.least = row.count == 0 ? event.value : std::min(row.least, event.value);
      row.most = row.count == 0 ? event.value : std::max(row.most, event.value);
      row.last = event.value;
      ++row.count;
      if (const auto place = column(event.time)) {
        row.values[*place] = row.marks[*place] == 0 ? event.value : std::max(row.values[*place], event.value);
        ++row.marks[*place];
      }
      break;
  }
  return {};
}

std::string TimelineWriter::chart(const Row& row) const {
  std::string line((last_ - begin_) / width_ + 1, ' ');  // as many columns as the trace has come to
  for (size_t i = 0; i < line.size(); ++i) {
    if (row.counter) {
      if (row.marks[i] > 0)
        line[i] = row.values[i] <= 0 ? '_' : shade(static_cast<double>(row.values[i]) / static_cast<double>(row.most));
      continue;
    }
    const uint64_t end = std::min(last_, begin_ + (i + 1) * width_);  // the last column may be a part of one
    const uint64_t from = begin_ + i * width_;
    line[i] = end <= from ? ' ' : shade(static_cast<double>(row.busy[i]) / static_cast<double>(end - from));
    if (row.marks[i] > 0 && line[i] == ' ') line[i] = '|';
  }
  return line;
}

std::string TimelineWriter::summary(const Row& row) const {
  if (row.counter) return row.count == 0 ? "" : fmt::format("    from {} to {}, at last {}\n", row.least, row.most, row.last);
  std::vector<std::pair<std::string_view, const Named*>> all;
  for (const auto& [name, slices] : row.names) all.emplace_back(name, &slices);
  std::ranges::stable_sort(all, [](const auto& a, const auto& b) { return a.second->time > b.second->time; });
  std::string text;
  for (const auto& [name, slices] : all) {
    text += fmt::format("    {} {}", name, plural(slices->count));
    if (slices->time > 0) text += fmt::format(", {}, the longest {}", time_of(slices->time), time_of(slices->longest));
    text += '\n';
  }
  return text;
}

Result<void> TimelineWriter::end() {
  size_t width = 0;
  for (const auto& [id, row] : rows_) width = std::max(width, row.name.size());
  std::string text = fmt::format("{}: {} in columns of {}\n", process_, time_of(last_ - begin_), time_of(width_));
  text += fmt::format("shades are the share of a column's time, {} from little to all of it; | is something without duration\n\n",
                      kShades);
  std::string details;
  for (const TrackId id : order_) {
    const Row& row = rows_.at(id);
    const std::string said = summary(row);
    if (said.empty()) continue;
    const std::string columns = chart(row);  // blank: all of it was before the trace
    if (columns.find_first_not_of(' ') != std::string::npos) text += fmt::format("{:<{}}  [{}]\n", row.name, width, columns);
    details += fmt::format("\n{}\n{}", row.name, said);
  }
  if (left_out_ > 0) details += fmt::format("\n{} more tracks are not shown\n", left_out_);
  text += details;
  TRY(output_.write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  return output_.flush();
}

}  // namespace adyton::trace
