#include "cli/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <random>
#include <string>
#include <thread>

namespace adyton::cli {
namespace {

struct Pair {
  UniqueFd a, b;
};
Pair make_pipe(int flags = 0) {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC | flags), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
Pair make_sockets() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void run(Channel& channel) {
  while (!channel.finished()) {
    std::vector<pollfd> polls;
    channel.watch(polls);
    ASSERT_FALSE(polls.empty());
    ASSERT_GT(::poll(polls.data(), polls.size(), -1), 0);
    channel.step(polls);
  }
}

std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
  return all;
}

void write_all(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
    ASSERT_GT(put, 0);
    done += static_cast<size_t>(put);
  }
}

std::string random_bytes(size_t size) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

class ChannelKinds : public ::testing::TestWithParam<int> {};

// 0: blocking pipe; O_NONBLOCK: non-blocking pipe.
INSTANTIATE_TEST_SUITE_P(Flags, ChannelKinds, ::testing::Values(0, O_NONBLOCK));

TEST_P(ChannelKinds, BytesFromAPipeReachASocketExactly) {
  auto input = make_pipe();
  if (GetParam() != 0) ::fcntl(input.a.get(), F_SETFL, O_NONBLOCK);
  auto stream = make_sockets();
  const std::string bytes = random_bytes(3'000'001);
  std::thread writer([&] {
    write_all(input.b.get(), bytes);
    input.b.reset();
  });
  std::string arrived;
  std::thread reader([&] { arrived = read_all(stream.b.get()); });
  Channel channel("standard input", std::move(input.a), std::move(stream.a));
  run(channel);
  writer.join();
  reader.join();
  EXPECT_EQ(arrived, bytes);
  EXPECT_FALSE(channel.error());
}

TEST_P(ChannelKinds, BytesFromASocketReachAPipeExactly) {
  auto output = make_pipe();
  if (GetParam() != 0) ::fcntl(output.b.get(), F_SETFL, O_NONBLOCK);
  auto stream = make_sockets();
  const std::string bytes = random_bytes(3'000'001);
  std::thread writer([&] {
    write_all(stream.b.get(), bytes);
    stream.b.reset();
  });
  std::string arrived;
  std::thread reader([&] { arrived = read_all(output.a.get()); });
  Channel channel("standard output", std::move(stream.a), std::move(output.b));
  run(channel);
  writer.join();
  reader.join();
  EXPECT_EQ(arrived, bytes);
}

TEST(Channel, EndOfFileHalfClosesTheSocketOnly) {
  auto input = make_pipe();
  auto stream = make_sockets();
  UniqueFd other_direction(::dup(stream.a.get()));
  input.b.reset();
  Channel channel("standard input", std::move(input.a), std::move(stream.a));
  run(channel);
  EXPECT_EQ(read_all(stream.b.get()), "");
  write_all(stream.b.get(), "still open");
  char buffer[16];
  EXPECT_EQ(::read(other_direction.get(), buffer, sizeof(buffer)), 10);
}

TEST(Channel, AReaderThatWentAwayStopsTheWriter) {
  ::signal(SIGPIPE, SIG_IGN);
  auto output = make_pipe();
  auto stream = make_sockets();
  UniqueFd other_direction(::dup(stream.a.get()));
  output.a.reset();
  write_all(stream.b.get(), "nobody reads this");
  Channel channel("standard output", std::move(stream.a), std::move(output.b));
  run(channel);
  EXPECT_FALSE(channel.error()) << "a closed pipe is the payload's business, not an error of ours";
  EXPECT_EQ(::send(stream.b.get(), "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST(Channel, AFullDiskIsAnError) {
  auto stream = make_sockets();
  write_all(stream.b.get(), "does not fit");
  Channel channel("standard output", std::move(stream.a), UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  run(channel);
  ASSERT_TRUE(channel.error());
  EXPECT_EQ(channel.error()->message, "cannot write standard output: No space left on device");
}

TEST(Channel, ADirectoryAsInputIsAnError) {
  auto stream = make_sockets();
  Channel channel("standard input", UniqueFd(::open("/", O_RDONLY | O_CLOEXEC)), std::move(stream.a));
  run(channel);
  EXPECT_TRUE(channel.error());
}

TEST(Channel, BackPressureReachesTheSource) {
  auto input = make_sockets();
  auto output = make_pipe(O_NONBLOCK);
  Channel channel("standard output", std::move(input.a), std::move(output.b));
  ASSERT_EQ(::fcntl(input.b.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string chunk(65536, 'x');
  size_t accepted = 0;
  for (int idle = 0; idle < 10;) {
    const ssize_t put = ::write(input.b.get(), chunk.data(), chunk.size());
    if (put > 0) accepted += static_cast<size_t>(put);
    std::vector<pollfd> polls;
    channel.watch(polls);
    if (::poll(polls.data(), polls.size(), 0) > 0) {
      channel.step(polls);
    } else if (put < 0) {
      ++idle;
    }
  }
  EXPECT_LT(accepted, size_t{2} << 20) << "the channel holds more than a buffer";
}

TEST(Channel, TheFilterSeesAndChangesEveryByte) {
  auto input = make_pipe();
  auto stream = make_sockets();
  write_all(input.b.get(), "abc");
  input.b.reset();
  std::string seen;
  Channel channel("standard input", std::move(input.a), std::move(stream.a));
  channel.set_filter([&](std::span<uint8_t> bytes) {
    seen.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    bytes[0] = 'X';
    return bytes.size() - 1;
  });
  run(channel);
  EXPECT_EQ(seen, "abc");
  EXPECT_EQ(read_all(stream.b.get()), "Xb");
}

TEST(Channel, AnEndpointOfAPipeIsNonBlockingForUsOnly) {
  auto pipe = make_pipe();
  auto reader = open_endpoint(pipe.a.get(), true);
  ASSERT_TRUE(reader);
  EXPECT_NE(::fcntl(reader->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(pipe.a.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(open_endpoint(-1, true));
}

}  // namespace
}  // namespace adyton::cli
