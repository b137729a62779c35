#include "vmm/console_port.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>

namespace adyton::vmm {
namespace {

struct Pipe {
  explicit Pipe(int flags = 0) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | flags), 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  UniqueFd reader, writer;
};

// A UART that takes a few bytes at a time.
class FakeUart {
 public:
  size_t receive(std::span<const uint8_t> bytes) {
    std::lock_guard lock(mutex_);
    const size_t taken = std::min(bytes.size(), kRoom - held_.size());
    held_.append(reinterpret_cast<const char*>(bytes.data()), taken);
    changed_.notify_all();
    return taken;
  }
  // Waits for at least one byte and takes all.
  std::string take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !held_.empty(); });
    return std::exchange(held_, "");
  }

 private:
  static constexpr size_t kRoom = 5;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string held_;
};

TEST(ConsolePort, FeedsTheUartAsItTakes) {
  Pipe in;
  Pipe out;
  FakeUart uart;
  auto port = ConsolePort::create(std::move(out.writer), std::move(in.reader));
  ASSERT_TRUE(port);
  auto callbacks = (*port)->callbacks();
  ASSERT_TRUE((*port)->start([&](std::span<const uint8_t> bytes) { return uart.receive(bytes); }));
  std::string sent;
  for (int i = 0; i < 200; ++i) sent += std::to_string(i);
  ASSERT_EQ(::write(in.writer.get(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  std::string arrived;
  while (arrived.size() < sent.size()) {
    arrived += uart.take();
    callbacks.input_ready();
  }
  EXPECT_EQ(arrived, sent);
}

TEST(ConsolePort, StopsWhileTheUartIsFull) {
  Pipe in;
  Pipe out;
  FakeUart uart;
  auto port = ConsolePort::create(std::move(out.writer), std::move(in.reader));
  ASSERT_TRUE((*port)->start([&](std::span<const uint8_t> bytes) { return uart.receive(bytes); }));
  ASSERT_EQ(::write(in.writer.get(), "0123456789", 10), 10);
  (void)uart.take();
  (*port)->stop();
}

TEST(ConsolePort, OutputArrivesWholeAlsoThroughANonBlockingPipe) {
  Pipe out(O_NONBLOCK);
  ASSERT_EQ(::fcntl(out.reader.get(), F_SETFL, 0), 0);
  auto port = ConsolePort::create(std::move(out.writer), UniqueFd());
  const std::string sent(1 << 20, 'x');
  std::jthread writer([&] { (*port)->callbacks().output({reinterpret_cast<const uint8_t*>(sent.data()), sent.size()}); });
  std::string arrived;
  std::string buffer(65536, '\0');
  while (arrived.size() < sent.size()) {
    const ssize_t got = ::read(out.reader.get(), buffer.data(), buffer.size());
    ASSERT_GT(got, 0);
    arrived.append(buffer, 0, static_cast<size_t>(got));
  }
  EXPECT_EQ(arrived, sent);
}

TEST(ConsolePort, AListenerThatIsGoneDoesNotStopTheGuest) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe out;
  auto port = ConsolePort::create(std::move(out.writer), UniqueFd());
  out.reader.reset();
  (*port)->callbacks().output(std::vector<uint8_t>(100, 'x'));
}

}  // namespace
}  // namespace adyton::vmm
