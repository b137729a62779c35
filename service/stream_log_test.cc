#include "service/stream_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <csignal>
#include <string_view>

namespace adyton::service {
namespace {

struct Pair {
  UniqueFd ours, guest;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    ASSERT_GT(put, 0);
    text.remove_prefix(static_cast<size_t>(put));
  }
}
std::string read_exactly(int fd, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, text.data() + done, size - done);
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}
std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

class StreamLogTest : public ::testing::Test {
 protected:
  StreamLogTest() {
    ::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    guest.reset(ends[1]);
    loop->call([&] { EXPECT_TRUE(log->add_source(UniqueFd(ends[0]), true)); });
  }
  ~StreamLogTest() override {
    loop->call([&] { log.reset(); });
  }
  UniqueFd open(bool with_history) {
    return loop->call([&] { return *log->open(with_history); });
  }
  void finish() {
    loop->call([&] { log->finish(); });
  }
  // The log has taken so many bytes altogether.
  void wait_for(const std::string& tail) {
    while (loop->call([&] { return log->tail(tail.size()); }) != tail) std::this_thread::yield();
  }

  std::unique_ptr<EventLoop> loop = *EventLoop::start();
  std::unique_ptr<StreamLog> log = std::make_unique<StreamLog>(*loop, 64 * 1024);
  UniqueFd guest;
};

TEST_F(StreamLogTest, EveryReaderGetsEverything) {
  UniqueFd one = open(false);
  UniqueFd two = open(false);
  write_all(guest.get(), "hello");
  EXPECT_EQ(read_exactly(one.get(), 5), "hello");
  EXPECT_EQ(read_exactly(two.get(), 5), "hello");
  finish();
  EXPECT_EQ(read_all(one.get()), "");
}

TEST_F(StreamLogTest, ALateReaderGetsTheHistoryIfItAsksForIt) {
  write_all(guest.get(), "past");
  wait_for("past");
  UniqueFd with = open(true);
  UniqueFd without = open(false);
  write_all(guest.get(), " now");
  EXPECT_EQ(read_exactly(with.get(), 8), "past now");
  EXPECT_EQ(read_exactly(without.get(), 4), " now");
  guest.reset();
  finish();
  EXPECT_EQ(read_all(with.get()), "");
  UniqueFd after = open(true);
  EXPECT_EQ(read_all(after.get()), "past now");
}

TEST_F(StreamLogTest, TheEndComesAfterWhatTheGuestHadWritten) {
  UniqueFd reader = open(false);
  std::string text(60000, 'x');
  text += "end";
  write_all(guest.get(), text);
  guest.reset();
  finish();
  EXPECT_EQ(read_all(reader.get()), text);
}

TEST_F(StreamLogTest, ASlowReaderLosesBytesAndStopsNobody) {
  UniqueFd slow = open(false);
  UniqueFd quick = open(false);
  const std::string block(32 * 1024, 'b');
  for (int i = 0; i < 100; ++i) {
    write_all(guest.get(), block);
    ASSERT_EQ(read_exactly(quick.get(), block.size()), block);
  }
  write_all(guest.get(), "the end");
  EXPECT_EQ(read_exactly(quick.get(), 7), "the end");
  finish();
  const std::string got = read_all(slow.get());
  EXPECT_LT(got.size(), 100 * block.size());
  EXPECT_GT(got.size(), block.size());
  EXPECT_TRUE(got.ends_with("the end"));
}

TEST_F(StreamLogTest, WhatReadersWriteIsTyped) {
  UniqueFd one = open(false);
  UniqueFd two = open(false);
  write_all(one.get(), "ab");
  EXPECT_EQ(read_exactly(guest.get(), 2), "ab");
  write_all(two.get(), "cd");
  two.reset();
  EXPECT_EQ(read_exactly(guest.get(), 2), "cd");
  ::shutdown(one.get(), SHUT_WR);
  write_all(guest.get(), "still there");
  EXPECT_EQ(read_exactly(one.get(), 11), "still there");
}

TEST_F(StreamLogTest, InputWaitsForAGuestThatDoesNotTakeIt) {
  UniqueFd reader = open(false);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd keys(ends[1]);
  loop->call([&] { EXPECT_TRUE(log->add_input(UniqueFd(ends[0]))); });
  std::thread typist([&] {
    for (int i = 0; i < 100; ++i) write_all(keys.get(), std::string(9000, 'k'));
    keys.reset();
    write_all(reader.get(), "!");
  });
  EXPECT_EQ(read_exactly(guest.get(), 900001).size(), 900001u);
  typist.join();
}

TEST_F(StreamLogTest, CopiesToADescriptorOfTheClient) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd pipe(ends[0]);
  UniqueFd kept(ends[1]);
  UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  loop->call([&] {
    EXPECT_TRUE(log->add_output(UniqueFd(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 0))));
    EXPECT_TRUE(log->add_output(UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0))));
    EXPECT_TRUE(log->add_output(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC))));
  });
  write_all(guest.get(), "hello");
  EXPECT_EQ(read_exactly(pipe.get(), 5), "hello");
  EXPECT_EQ(::fcntl(kept.get(), F_GETFL) & O_NONBLOCK, 0);  // the client's descriptor is as it was
  kept.reset();
  finish();
  EXPECT_EQ(read_all(pipe.get()), "");
  char buffer[8] = {};
  EXPECT_EQ(::pread(file.get(), buffer, sizeof(buffer), 0), 5);
}

TEST_F(StreamLogTest, AClientThatIsGoneIsForgotten) {
  for (size_t i = 0; i < 3 * StreamLog::kMaxReaders; ++i) {
    UniqueFd reader = open(true);
    write_all(guest.get(), "x");
    ASSERT_EQ(read_exactly(reader.get(), 1), "x");
    reader.reset();
    write_all(guest.get(), "y");
    wait_for("y");
  }
}

TEST_F(StreamLogTest, HasALimitOfReaders) {
  std::vector<UniqueFd> readers;
  for (size_t i = 0; i < StreamLog::kMaxReaders; ++i) readers.push_back(open(true));
  const auto refused = loop->call([&] { return log->open(true).error().code; });
  EXPECT_EQ(refused, ErrorCode::kExhausted);
}

TEST_F(StreamLogTest, AFileIsNoTypist) {
  const auto refused = loop->call([&] { return log->add_input(UniqueFd(::memfd_create("file", MFD_CLOEXEC))).error().code; });
  EXPECT_EQ(refused, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace adyton::service
