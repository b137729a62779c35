// guest-bench: the benchmarks as one static AArch64 program. As process 1 it is the whole userland of the benchmark VM: it mounts
// what the benchmarks need, runs them and turns the machine off; the kernel hands it what follows " -- " on the command line.
//
//   guest-bench [--list] [--only PREFIX[,PREFIX...]] [--time-ms N] [--boot-only]
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

struct Options {
  std::string_view only;
  unsigned time_ms = 300;
  bool list = false, boot_only = false;
};

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--list") {
      options.list = true;
    } else if (argument == "--boot-only") {
      options.boot_only = true;
    } else if (argument == "--only" && i + 1 < argc) {
      options.only = argv[++i];
    } else if (argument == "--time-ms" && i + 1 < argc) {
      options.time_ms = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      return false;
    }
  }
  return true;
}

bool wanted(std::string_view name, std::string_view only) {
  if (only.empty()) return true;
  while (!only.empty()) {
    const size_t comma = only.find(',');
    if (name.starts_with(only.substr(0, comma))) return true;
    only = comma == std::string_view::npos ? std::string_view{} : only.substr(comma + 1);
  }
  return false;
}

void mount_what_is_needed() {
  ::mkdir("/proc", 0755);
  ::mkdir("/dev", 0755);
  ::mkdir("/tmp", 0777);
  ::mount("proc", "/proc", "proc", 0, nullptr);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  ::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr);
}

int run(const Options& options) {
  int failures = 0;
  for (const auto benchmarks : {integer_benchmarks(), interpreter_benchmarks(), float_benchmarks(), neon_benchmarks(),
                                memory_benchmarks(), crypto_benchmarks(), system_benchmarks(), switch_benchmarks()}) {
    for (const Benchmark& benchmark : benchmarks) {
      if (!wanted(benchmark.name, options.only)) continue;
      if (options.list) {
        std::printf("%s %s\n", benchmark.name, benchmark.unit);
      } else if (!measure(benchmark, options.time_ms)) {
        ++failures;
      }
    }
  }
  return failures == 0 ? 0 : 1;
}

void say(std::string_view line) { [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, line.data(), line.size()); }

}  // namespace
}  // namespace adyton::bench

int main(int argc, char** argv) {
  using namespace adyton::bench;
  // fork+exec measures this: a process that starts, does nothing and ends.
  if (argc == 2 && std::string_view(argv[1]) == "--nothing") return 0;
  const bool is_init = ::getpid() == 1;
  if (is_init) say("guest-bench: userspace\n");
  Options options;
  if (!parse(argc, argv, options)) {
    say("usage: guest-bench [--list] [--only PREFIX[,PREFIX...]] [--time-ms N] [--boot-only]\n");
    if (!is_init) return 2;
    options.boot_only = true;
  }
  if (is_init) mount_what_is_needed();
  const int status = options.boot_only ? 0 : run(options);
  if (!is_init) return status;
  say("guest-bench: done\n");
  ::sync();
  ::reboot(RB_POWER_OFF);
  return status;
}
