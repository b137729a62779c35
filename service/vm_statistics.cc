#include "service/vm_statistics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

namespace adyton::service {

std::vector<ThreadUsage> threads_of(pid_t pid) {
  std::map<std::string, std::chrono::milliseconds> times;
  std::error_code error;
  for (std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", pid), error), end; !error && task != end;
       task.increment(error)) {
    std::ifstream file(task->path() / "stat");
    std::string stat;
    std::getline(file, stat, '\0');
    // proc(5): the name, field 2, may hold anything, even ')'; utime and stime are fields 14 and 15.
    const size_t open = stat.find('(');
    const size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open) continue;
    unsigned long long user = 0;
    unsigned long long system = 0;
    if (std::sscanf(stat.c_str() + close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
      continue;
    }
    std::string name = stat.substr(open + 1, close - open - 1);
    for (char& c : name) {
      if (c < 0x20 || c > 0x7e) c = '?';
    }
    times[name] += std::chrono::milliseconds((user + system) * 1000 / static_cast<unsigned long long>(::sysconf(_SC_CLK_TCK)));
  }
  std::vector<ThreadUsage> all;
  for (const auto& [name, time] : times) all.push_back({name, time});
  return all;
}

}  // namespace adyton::service
