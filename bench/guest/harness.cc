#include "bench/guest/harness.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace adyton::bench {
namespace {

constexpr int kRepetitions = 3;
constexpr unsigned kHangSeconds = 120;
constexpr int kFailStatus = 1;

const char* running_name = "";

uint64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t timed(const Benchmark& benchmark, uint64_t iterations) {
  const uint64_t start = now_ns();
  uint64_t result = benchmark.run(iterations);
  keep(result);
  return std::max<uint64_t>(now_ns() - start, 1);
}

// One write per line: the serial console is shared with the kernel.
void print_line(const char* kind, const char* name, const char* rest) {
  char line[256];
  const int length = std::snprintf(line, sizeof(line), "%s %s %s\n", kind, name, rest);
  if (length > 0) [[maybe_unused]]
    ssize_t written = ::write(STDOUT_FILENO, line, std::min<size_t>(static_cast<size_t>(length), sizeof(line) - 1));
}

[[noreturn]] void run_in_child(const Benchmark& benchmark, unsigned budget_ms) {
  running_name = benchmark.name;
  ::alarm(kHangSeconds + budget_ms / 1000);
  if (benchmark.available && !benchmark.available()) skip("not offered by this system");
  if (benchmark.prepare) benchmark.prepare();
  const uint64_t result_digest = benchmark.run(1);

  const uint64_t budget_ns = uint64_t{budget_ms} * 1'000'000;
  uint64_t iterations = 1;
  uint64_t elapsed = timed(benchmark, iterations);
  while (elapsed < budget_ns / 8) {
    iterations *= 2;
    elapsed = timed(benchmark, iterations);
  }
  iterations = std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(iterations) * static_cast<double>(budget_ns) / 4 /
                                                           static_cast<double>(elapsed)));
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < kRepetitions; ++i) best = std::min(best, timed(benchmark, iterations));

  const double per_iteration_ns = static_cast<double>(best) / static_cast<double>(iterations);
  const double value =
      std::strcmp(benchmark.unit, "ns") == 0 ? per_iteration_ns / benchmark.amount : benchmark.amount * 1000 / per_iteration_ns;
  char numbers[96];
  std::snprintf(numbers, sizeof(numbers), "%.3f %s %016" PRIx64, value, benchmark.unit, result_digest);
  print_line("result", benchmark.name, numbers);
  ::_exit(0);
}

}  // namespace

bool measure(const Benchmark& benchmark, unsigned budget_ms) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) {
    print_line("fail", benchmark.name, "fork failed");
    return false;
  }
  if (child == 0) run_in_child(benchmark, budget_ms);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {}
  if (WIFSIGNALED(status)) {
    print_line("fail", benchmark.name, WTERMSIG(status) == SIGALRM ? "took too long" : ::strsignal(WTERMSIG(status)));
    return false;
  }
  return WEXITSTATUS(status) == 0;
}

void skip(const char* reason) {
  print_line("skip", running_name, reason);
  ::_exit(0);
}

void fail(const char* reason) {
  print_line("fail", running_name, reason);
  ::_exit(kFailStatus);
}

}  // namespace adyton::bench
