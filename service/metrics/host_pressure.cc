#include "service/metrics/host_pressure.h"

#include <cstdio>
#include <fstream>
#include <sstream>

namespace adyton::service {

std::vector<Pressure> parse_pressure(std::string_view resource, std::string_view text) {
  std::vector<Pressure> all;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    char kind[8] = {};
    double share = 0;
    unsigned long long total = 0;
    if (std::sscanf(line.c_str(), "%7s avg10=%lf avg60=%*f avg300=%*f total=%llu", kind, &share, &total) != 3) continue;
    all.push_back({.resource = std::string(resource),
                   .kind = kind,
                   .share_10s = share,
                   .stalled = std::chrono::microseconds(static_cast<int64_t>(total))});
  }
  return all;
}

std::vector<Pressure> host_pressure() {
  std::vector<Pressure> all;
  for (const char* resource : {"cpu", "memory", "io"}) {
    std::ifstream file(std::string("/proc/pressure/") + resource);
    std::stringstream text;
    text << file.rdbuf();
    for (Pressure& pressure : parse_pressure(resource, text.str())) all.push_back(std::move(pressure));
  }
  return all;
}

}  // namespace adyton::service
