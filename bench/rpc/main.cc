// Compares calls over RpcBinder and over gRPC, in turn, on the same machine in the same minutes:
//   adyton_rpc_bench [--rounds N] [--time-ms N]
// Each system has its server in a process of its own. A round measures every row on every system, and begins with another system
// each time. The table shows the median of the rounds, and how many times as good RpcBinder is.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
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

struct Row {
  std::string name;
  std::string unit;
  bool less_is_better;
  std::function<double(System&, std::chrono::milliseconds)> measure;
  std::array<std::vector<double>, 2> samples;
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
  const auto [least, most] = std::ranges::minmax(values);
  return fmt::format("{:.1f} ({:.1f}-{:.1f})", median(values), least, most);
}

void run(int rounds, std::chrono::milliseconds time) {
  const auto directory = std::filesystem::temp_directory_path() / fmt::format("adyton-rpc-bench-{}", ::getpid());
  std::filesystem::create_directory(directory);
  const std::array<std::string, 2> paths = {directory / "binder", directory / "grpc"};
  // Before this process has threads.
  const std::array<pid_t, 2> servers = {start(serve_binder, paths[0]), start(serve_grpc, paths[1])};
  const std::array<std::unique_ptr<System>, 2> systems = {connect_binder(paths[0]), connect_grpc(paths[1])};
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
  std::filesystem::remove_all(directory);

  fmt::print("| Row | unit | RpcBinder | gRPC | ratio |\n|---|---|---|---|---|\n");
  for (const Row& row : table) {
    const double ours = median(row.samples[0]);
    const double theirs = median(row.samples[1]);
    fmt::print("| {} | {} | {} | {} | {:.2f} |\n", row.name, row.unit, cell(row.samples[0]), cell(row.samples[1]),
               row.less_is_better ? theirs / ours : ours / theirs);
  }
}

}  // namespace
}  // namespace adyton::bench

int main(int argc, char** argv) {
  int rounds = 5;
  int time_ms = 500;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const int value = std::atoi(argv[i + 1]);
    if (value < 1 || (option != "--rounds" && option != "--time-ms")) adyton::bench::give_up("usage: --rounds N --time-ms N");
    (option == "--rounds" ? rounds : time_ms) = value;
  }
  adyton::bench::run(rounds, std::chrono::milliseconds(time_ms));
  return 0;
}
