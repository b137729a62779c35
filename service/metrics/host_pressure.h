// How short the host is of CPU, memory and I/O: pressure stall information (Linux, Documentation/accounting/psi.rst).
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace adyton::service {

struct Pressure {
  std::string resource;                  // "cpu", "memory", "io"
  std::string kind;                      // "some": of the tasks had to wait; "full": all had to
  double share_10s = 0;                  // of the last ten seconds, 0 to 100
  std::chrono::microseconds stalled{0};  // ever
};

// The lines of one file. What is no such line is left out.
std::vector<Pressure> parse_pressure(std::string_view resource, std::string_view text);

// Of all resources; empty on kernels without.
std::vector<Pressure> host_pressure();

}  // namespace adyton::service
