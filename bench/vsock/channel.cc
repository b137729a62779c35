#include "bench/vsock/channel.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace adyton::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool do_up(int fd, uint64_t total) {
  static thread_local char block[kBlock];
  const Job job{.kind = Job::kUp, .size = 0, .total = total};
  if (!send_all(fd, &job, sizeof(job))) return false;
  for (uint64_t left = total; left > 0;) {
    const size_t part = std::min<uint64_t>(left, kBlock);
    if (!send_all(fd, block, part)) return false;
    left -= part;
  }
  return receive_all(fd, block, 1);
}

bool do_down(int fd, uint64_t total) {
  static thread_local char block[kBlock];
  const Job job{.kind = Job::kDown, .size = 0, .total = total};
  if (!send_all(fd, &job, sizeof(job))) return false;
  for (uint64_t left = total; left > 0;) {
    const ssize_t got = ::read(fd, block, std::min<uint64_t>(left, kBlock));
    if (got <= 0) return false;
    left -= static_cast<uint64_t>(got);
  }
  return true;
}

bool do_echo(int fd, uint32_t size, uint64_t rounds) {
  std::vector<char> message(size);
  const Job job{.kind = Job::kEcho, .size = size, .total = size * rounds};
  if (!send_all(fd, &job, sizeof(job))) return false;
  for (uint64_t i = 0; i < rounds; ++i) {
    if (!send_all(fd, message.data(), size) || !receive_all(fd, message.data(), size)) return false;
  }
  return true;
}

// Does `work(fd, amount)` on each stream at once; seconds, or negative when a stream broke.
template <typename Work>
double timed(const std::vector<int>& fds, uint64_t amount, const Work& work) {
  std::vector<std::thread> threads;
  std::vector<char> good(fds.size());
  const auto start = Clock::now();
  for (size_t i = 1; i < fds.size(); ++i) threads.emplace_back([&, i] { good[i] = work(fds[i], amount); });
  good[0] = work(fds[0], amount);
  for (std::thread& thread : threads) thread.join();
  const double seconds = seconds_since(start);
  return std::find(good.begin(), good.end(), 0) == good.end() ? seconds : -1;
}

// More and more of it until that takes long enough. Returns amounts per second, of all streams.
template <typename Work>
double rate(const std::vector<int>& fds, uint64_t amount, double least_seconds, const Work& work) {
  for (;;) {
    const double seconds = timed(fds, amount, work);
    if (seconds < 0) return -1;
    if (seconds >= least_seconds) return static_cast<double>(amount) * static_cast<double>(fds.size()) / seconds;
    amount *= seconds < least_seconds / 8 ? 4 : 2;
  }
}

}  // namespace

bool send_all(int fd, const void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::write(fd, static_cast<const char*>(bytes) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

bool receive_all(int fd, void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::read(fd, static_cast<char*>(bytes) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void serve(int fd) {
  std::vector<char> block(std::max<size_t>(4 * kBlock, 1));
  Job job;
  while (receive_all(fd, &job, sizeof(job))) {
    uint64_t left = job.total;
    if (job.kind == Job::kUp) {
      while (left > 0) {
        const ssize_t got = ::read(fd, block.data(), std::min<uint64_t>(left, block.size()));
        if (got <= 0) return;
        left -= static_cast<uint64_t>(got);
      }
      if (!send_all(fd, block.data(), 1)) return;
    } else if (job.kind == Job::kDown) {
      for (; left > 0; left -= std::min<uint64_t>(left, kBlock)) {
        if (!send_all(fd, block.data(), std::min<uint64_t>(left, kBlock))) return;
      }
    } else if (job.kind == Job::kEcho && job.size > 0 && job.size <= block.size()) {
      for (; left >= job.size; left -= job.size) {
        if (!receive_all(fd, block.data(), job.size) || !send_all(fd, block.data(), job.size)) return;
      }
    } else {
      return;
    }
  }
}

void measure(const std::function<int()>& open, int max_streams, double milliseconds, const std::string& rows) {
  const double least = milliseconds / 1000;
  std::vector<int> fds;
  const auto row = [&](const char* kind, const char* unit, const std::function<double()>& work) {
    const std::string name = std::string(kind) + '.' + std::to_string(fds.size());
    if (!rows.empty() && ("," + rows + ",").find("," + name + ",") == std::string::npos) return;
    const double value = work();
    if (value < 0) {
      std::printf("fail %s the stream broke\n", name.c_str());
    } else {
      std::printf("result %s %.3f %s -\n", name.c_str(), value, unit);
    }
    std::fflush(stdout);
  };
  for (const int streams : {1, 4, 16, 64}) {
    if (streams > max_streams) break;
    while (static_cast<int>(fds.size()) < streams) {
      const int fd = open();
      if (fd < 0) {
        std::printf("fail open.%d %s\n", streams, std::strerror(errno));
        return;
      }
      fds.push_back(fd);
    }
    if (streams == 1) {
      row("latency", "us", [&] {
        const double echoes = rate(fds, 32, least, [](int fd, uint64_t n) { return do_echo(fd, 64, n); });
        return echoes > 0 ? 1e6 / echoes : -1;
      });
    }
    constexpr double kMiB = 1 << 20;
    const uint64_t first = std::max<uint64_t>((uint64_t{4} << 20) / static_cast<uint64_t>(streams), 1 << 17);
    row("up", "MiB/s", [&] { return rate(fds, first, least, do_up) / kMiB; });
    row("down", "MiB/s", [&] { return rate(fds, first, least, do_down) / kMiB; });
  }
  for (const int fd : fds) ::close(fd);
}

}  // namespace adyton::bench
