#include "service/metrics/exposition.h"

#include <fmt/format.h>

#include <cmath>

namespace adyton::service {
namespace {

std::string metric_name(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && c != '_' && !(c >= '0' && c <= '9')) c = '_';
  }
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) name.insert(0, 1, '_');
  return name;
}

std::string escape(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\\' || (quotes && c == '"')) {
      escaped += {'\\', c};
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string written(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "{" : ",", metric_name(name), escape(value, true));
  }
  return text.empty() ? text : text + "}";
}

// Whole numbers as such: counters of bytes stay exact up to 2^53.
std::string written(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  if (value == std::floor(value) && std::abs(value) < 9007199254740992.0) return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

}  // namespace

Exposition::Family& Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  return families_.try_emplace(metric_name(name), Family{.type = type, .help = escape(help, false), .samples = {}}).first->second;
}

void Exposition::add(Type type, std::string_view name, std::string_view help, const Labels& labels, double value) {
  family(name, type == Type::kCounter ? "counter" : "gauge", help).samples.try_emplace(written(labels), written(value));
}

void Exposition::add_histogram(std::string_view name, std::string_view help, const Labels& labels,
                               const std::vector<double>& bounds, const std::vector<uint64_t>& counts, double sum) {
  family(name, "histogram", help);
  const std::string full = metric_name(name);
  std::string lines;
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    Labels all = labels;
    all.emplace_back("le", i < bounds.size() ? written(bounds[i]) : "+Inf");
    lines += fmt::format("{}_bucket{} {}\n", full, written(all), below);
  }
  lines += fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", full, written(labels), written(sum), below);
  histograms_.try_emplace(full + written(labels), full, lines);
}

std::string Exposition::text() const {
  std::string text;
  for (const auto& [name, family] : families_) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, family.help, family.type);
    for (const auto& [labels, value] : family.samples) text += fmt::format("{}{} {}\n", name, labels, value);
    for (const auto& [key, histogram] : histograms_) {
      if (histogram.first == name) text += histogram.second;
    }
  }
  return text;
}

}  // namespace adyton::service
