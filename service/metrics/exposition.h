// Metrics as Prometheus reads them: the text format, version 0.0.4.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace adyton::service {

// Name and value, in the order in which they are written.
using Labels = std::vector<std::pair<std::string, std::string>>;

// Collects samples and writes them: families by name, the samples of each by their labels, none twice. Characters that a name
// cannot have become '_', so that whatever a VM calls its counts, the text stays well-formed.
class Exposition {
 public:
  enum class Type : uint8_t { kCounter, kGauge };

  // The type and help of a family's first sample count. A sample that is there already stays as it is.
  void add(Type type, std::string_view family, std::string_view help, const Labels& labels, double value);

  // `counts[i]` are the values up to and including `bounds[i]`, its last those above all bounds: one more than bounds, not
  // cumulative.
  void add_histogram(std::string_view family, std::string_view help, const Labels& labels, const std::vector<double>& bounds,
                     const std::vector<uint64_t>& counts, double sum);

  [[nodiscard]] std::string text() const;

 private:
  struct Family {
    std::string_view type;
    std::string help;
    std::map<std::string, std::string> samples;  // by suffix and labels as they are written
  };
  Family& family(std::string_view name, std::string_view type, std::string_view help);

  std::map<std::string, Family> families_;
  std::map<std::string, std::pair<std::string, std::string>> histograms_;  // by family and labels: family, lines
};

}  // namespace adyton::service
