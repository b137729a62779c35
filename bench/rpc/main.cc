// Compares calls over RpcBinder and over gRPC, in turn, on the same machine in the same minutes:
//   adyton_rpc_bench [--rounds N] [--time-ms N] [--vm 0|1]
// Each system has its server in a process of its own, or (RpcBinder over vsock) in a guest, unless --vm 0 leaves that out. A
// round measures every row on every system, and begins with another system each time. The table shows the median of the rounds,
// and how many times as good RpcBinder is than gRPC, both over Unix sockets.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/rpc/system.h"

namespace adyton::bench {

void give_up(const std::string& why) {
  fmt::print(stderr, "adyton_rpc_bench: {}\n", why);
  std::_Exit(1);
}

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kBlob = 1 << 20;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Calls per second of `threads` threads.
template <typename Call>
double rate(int threads, std::chrono::milliseconds time, Call call) {
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> calls = 0;
  std::vector<std::thread> running;
  const auto start = Clock::now();
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      uint64_t mine = 0;
      while (!stop) {
        call();
        ++mine;
      }
      calls += mine;
    });
  }
  std::this_thread::sleep_for(time);
  stop = true;
  for (auto& thread : running) thread.join();
  return static_cast<double>(calls) / seconds_since(start);
}

// Microseconds of a call; NaN if the system has no such call.
template <typename Call>
double per_call(int times, Call call) {
  constexpr int kCalls = 10'000;
  double total = 0;
  for (int i = 0; i < times; ++i) {
    for (int warm_up = 0; warm_up < 10; ++warm_up) {
      if (!call()) return std::numeric_limits<double>::quiet_NaN();
    }
    const auto start = Clock::now();
    for (int n = 0; n < kCalls; ++n) call();
    total += seconds_since(start);
  }
  return total * 1e6 / (kCalls * times);
}

struct Row {
  std::string name;
  std::string unit;
  bool less_is_better;
  std::function<double(System&, std::chrono::milliseconds)> measure;
  std::array<std::vector<double>, 3> samples;
};

std::vector<Row> rows() {
  const auto add = [](System& system) {
    if (system.add(2, 3) != 5) give_up("a wrong sum");
  };
  std::vector<Row> rows;
  rows.push_back({"latency of add(int, int)",
                  "us",
                  true,
                  [add](System& system, std::chrono::milliseconds time) { return 1e6 / rate(1, time, [&] { add(system); }); },
                  {}});
  // As AVF's testRpcBinderLatency and testVsockLatency have it: 10 calls to warm up, then 10 000, five times.
  rows.push_back({"10 000 times add(int, int)",
                  "us",
                  true,
                  [add](System& system, std::chrono::milliseconds) {
                    return per_call(5, [&] {
                      add(system);
                      return true;
                    });
                  },
                  {}});
  rows.push_back({"10 000 lines, echoed reversed",
                  "us",
                  true,
                  [](System& system, std::chrono::milliseconds) {
                    return per_call(5, [&] {
                      const auto answer = system.echo("testVsockLatency");
                      if (answer && *answer != "ycnetaLkcosVtset") give_up("a wrong answer");
                      return answer.has_value();
                    });
                  },
                  {}});
  for (const int threads : {1, 2, 4, 8}) {
    rows.push_back({fmt::format("calls/s, {} threads", threads),
                    "k/s",
                    false,
                    [add, threads](System& system, std::chrono::milliseconds time) {
                      return rate(threads, time, [&] { add(system); }) / 1e3;
                    },
                    {}});
  }
  rows.push_back({"1 MiB to the server",
                  "MiB/s",
                  false,
                  [](System& system, std::chrono::milliseconds time) {
                    const std::string blob(kBlob, 'x');
                    return rate(1, time, [&] {
                      if (system.take(blob) != kBlob) give_up("lost bytes");
                    });
                  },
                  {}});
  rows.push_back({"1 MiB from the server",
                  "MiB/s",
                  false,
                  [](System& system, std::chrono::milliseconds time) {
                    return rate(1, time, [&] {
                      if (system.give(kBlob) != kBlob) give_up("lost bytes");
                    });
                  },
                  {}});
  return rows;
}

pid_t start(void (*serve)(const std::string&), const std::string& path) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) give_up("cannot start a process");
  if (child > 0) return child;
  // A benchmark that is interrupted leaves no server behind.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) std::_Exit(1);
  serve(path);
  std::_Exit(0);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string cell(const std::vector<double>& values) {
  if (values.empty() || std::isnan(values.front())) return "-";
  const auto [least, most] = std::ranges::minmax(values);
  return fmt::format("{:.1f} ({:.1f}-{:.1f})", median(values), least, most);
}

void run(int rounds, std::chrono::milliseconds time, bool with_vm) {
  const auto directory = std::filesystem::temp_directory_path() / fmt::format("adyton-rpc-bench-{}", ::getpid());
  std::filesystem::create_directory(directory);
  const std::array<std::string, 2> paths = {directory / "binder", directory / "grpc"};
  // Before this process has threads.
  const std::array<pid_t, 2> servers = {start(serve_binder, paths[0]), start(serve_grpc, paths[1])};
  std::vector<std::unique_ptr<System>> systems;
  systems.push_back(connect_binder(paths[0]));
  systems.push_back(connect_grpc(paths[1]));
  if (with_vm) systems.push_back(connect_vm(directory / "vm"));
  auto table = rows();
  for (const auto& system : systems) {
    for (int i = 0; i < 200; ++i) system->add(i, i);
  }
  for (int round = 0; round < rounds; ++round) {
    fmt::print(stderr, "round {} of {}\n", round + 1, rounds);
    for (Row& row : table) {
      for (size_t i = 0; i < systems.size(); ++i) {
        const size_t at = (i + static_cast<size_t>(round)) % systems.size();
        row.samples[at].push_back(row.measure(*systems[at], time));
      }
    }
  }
  for (const pid_t server : servers) {
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
  }
  systems.clear();
  std::filesystem::remove_all(directory);

  fmt::print("| Row | unit | RpcBinder | gRPC | ratio | RpcBinder to a VM |\n|---|---|---|---|---|---|\n");
  for (const Row& row : table) {
    const double ours = median(row.samples[0]);
    const double theirs = median(row.samples[1]);
    const double ratio = row.less_is_better ? theirs / ours : ours / theirs;
    fmt::print("| {} | {} | {} | {} | {} | {} |\n", row.name, row.unit, cell(row.samples[0]), cell(row.samples[1]),
               std::isnan(ratio) ? "-" : fmt::format("{:.2f}", ratio), cell(row.samples[2]));
  }
}

}  // namespace
}  // namespace adyton::bench

int main(int argc, char** argv) {
  int rounds = 5;
  int time_ms = 500;
  int vm = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const int value = std::atoi(argv[i + 1]);
    const bool known = option == "--rounds" || option == "--time-ms" || option == "--vm";
    if (!known || value < (option == "--vm" ? 0 : 1)) adyton::bench::give_up("usage: --rounds N --time-ms N --vm 0|1");
    (option == "--rounds" ? rounds : option == "--vm" ? vm : time_ms) = value;
  }
  adyton::bench::run(rounds, std::chrono::milliseconds(time_ms), vm != 0);
  return 0;
}
