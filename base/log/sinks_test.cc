#include "base/log/sinks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace adyton::log {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class Sinks : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "/log-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static Record record(std::string_view message) {
    return {.time = {}, .level = Level::kInfo, .pid = 1, .component = "test", .context = {}, .fields = {}, .message = message};
  }
  static std::string contents(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static std::pair<UniqueFd, UniqueFd> pipe_pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
  static std::string read_some(int fd) {
    std::string text(1 << 20, '\0');
    const ssize_t got = ::read(fd, text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
  }

  fs::path folder_;
};

TEST_F(Sinks, AStreamGetsALineForEachRecord) {
  const auto [reader, writer] = pipe_pair();
  StreamSink text(writer.get(), Format::kText, StreamSink::Patience::kNone);
  text.write(record("one"));
  text.write(record("two"));
  EXPECT_EQ(read_some(reader.get()),
            "1970-01-01T00:00:00.000000Z info test[1]: one\n1970-01-01T00:00:00.000000Z info test[1]: two\n");
  StreamSink json(writer.get(), Format::kJson, StreamSink::Patience::kNone);
  json.write(record("three"));
  EXPECT_THAT(read_some(reader.get()), EndsWith("\"pid\":1,\"message\":\"three\"}\n"));
}

TEST_F(Sinks, WhatHasNoContextIsTheProcesss) {
  const std::string path = folder_ / "log";
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  VmSink sink("pid 7", std::make_unique<StreamSink>(file.get(), Format::kText, StreamSink::Patience::kNone));
  sink.write(record("first"));
  const Field other("vm", "other");
  Record second = record("second");
  second.context = std::span(&other, 1);
  sink.write(second);
  EXPECT_THAT(contents(path), AllOf(HasSubstr("test[1] vm=\"pid 7\": first\n"), HasSubstr("test[1] vm=other: second\n")));
}

TEST_F(Sinks, AReaderWhoStopsCostsLinesAndNothingElse) {
  const auto [reader, writer] = pipe_pair();
  StreamSink sink(writer.get(), Format::kText, StreamSink::Patience::kNone);
  const std::string words(1000, 'x');
  for (int i = 0; i < 1000; ++i) sink.write(record(words));  // a pipe takes 64 KiB
  const std::string first = read_some(reader.get());
  EXPECT_EQ(first.back(), '\n');
  const auto got = std::count(first.begin(), first.end(), '\n');
  sink.write(record("last"));
  const std::string rest = read_some(reader.get());
  EXPECT_THAT(rest, HasSubstr("warning log[1] lost=" + std::to_string(1000 - got) + ": lines were lost"));
  EXPECT_THAT(rest, EndsWith("info test[1]: last\n"));
}

TEST_F(Sinks, AReaderWhoDiesCostsLinesAndNothingElse) {
  auto [reader, writer] = pipe_pair();
  StreamSink sink(writer.get(), Format::kText, StreamSink::Patience::kNone);
  reader.reset();
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);  // the programs ignore it
  sink.write(record("nobody"));
  const timespec none{};
  (void)::sigtimedwait(&pipe_signal, nullptr, &none);
  ::pthread_sigmask(SIG_UNBLOCK, &pipe_signal, nullptr);
}

TEST_F(Sinks, WritesWholeLinesFromManyThreads) {
  const auto [reader, writer] = pipe_pair();
  std::string all;
  std::jthread consumer([&, fd = reader.get()] {
    for (std::string part = read_some(fd); !part.empty(); part = read_some(fd)) all += part;
  });
  {
    StreamSink sink(writer.get(), Format::kText, StreamSink::Patience::kWaits);
    std::vector<std::jthread> threads;
    for (char c = 'a'; c < 'e'; ++c) {
      threads.emplace_back([&sink, c] {
        for (int i = 0; i < 500; ++i) sink.write(record(std::string(300, c)));
      });
    }
  }
  const_cast<UniqueFd&>(writer).reset();
  consumer.join();
  std::istringstream lines(all);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    ASSERT_THAT(line, StartsWith("1970-01-01T00:00:00.000000Z info test[1]: "));
    ASSERT_EQ(line.substr(line.size() - 300), std::string(300, line.back()));
  }
  EXPECT_EQ(count, 2000);
}

TEST_F(Sinks, AFileOfOursDoesNotGrowForever) {
  const fs::path path = folder_ / "adytond.log";
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  StreamSink sink(file.get(), Format::kText, StreamSink::Patience::kNone, StreamSink::Rotation{.path = path, .limit = 10'000});
  for (int i = 0; i < 1000; ++i) sink.write(record("line " + std::to_string(i)));
  EXPECT_LE(fs::file_size(path), 10'100u);
  EXPECT_LE(fs::file_size(path.string() + ".1"), 10'100u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
  EXPECT_THAT(contents(path.string() + ".1") + contents(path), EndsWith("info test[1]: line 999\n"));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// ---- the journal ---------------------------------------------------------------------------------------------------------

class Journal : public Sinks {
 protected:
  UniqueFd listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(path().c_str());
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << std::strerror(errno);
    return socket;
  }
  [[nodiscard]] std::string path() const { return folder_ / "journal"; }
  class Kept final : public Sink {
   public:
    explicit Kept(std::vector<std::string>& messages) : messages_(messages) {}
    void write(const Record& record) override { messages_.emplace_back(record.message); }

   private:
    std::vector<std::string>& messages_;
  };
};

TEST_F(Journal, GetsADatagramForEachRecord) {
  const UniqueFd journal = listen();
  auto sink = JournalSink::open(path(), "adytond");
  ASSERT_TRUE(sink) << sink.error().message;
  (*sink)->write(record("hello"));
  EXPECT_EQ(read_some(journal.get()),
            "MESSAGE=test[1]: hello\nPRIORITY=6\nSYSLOG_IDENTIFIER=adytond\nADYTON_COMPONENT=test\nADYTON_PID=1\n");
}

TEST_F(Journal, MayStopReadingDieAndComeBack) {
  std::vector<std::string> messages;
  UniqueFd journal = listen();
  auto sink = JournalSink::open(path(), "adytond");
  ASSERT_TRUE(sink) << sink.error().message;
  (*sink)->set_fallback(std::make_unique<Kept>(messages));
  for (int i = 0; i < 2000; ++i) (*sink)->write(record("x"));  // net.unix.max_dgram_qlen datagrams wait, no more
  EXPECT_FALSE(messages.empty());
  messages.clear();
  journal.reset();
  (*sink)->write(record("while it is dead"));
  EXPECT_THAT(messages, testing::ElementsAre("while it is dead"));
  journal = listen();
  (*sink)->write(record("when it is back"));
  EXPECT_THAT(read_some(journal.get()), HasSubstr("when it is back"));
}

// Standard error of its own for each, which make_sink() writes to.
TEST_F(Journal, GetsWhatGoesToAFileOfOursTooIfItIsThere) {
  const UniqueFd before(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  const std::string file = folder_ / "log";
  for (const bool there : {false, true}) {
    const UniqueFd journal = there ? listen() : UniqueFd();
    const UniqueFd log(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::dup2(log.get(), STDERR_FILENO), STDERR_FILENO);
    Options options{.rotation = StreamSink::Rotation{.path = file, .limit = 1 << 20}, .journal_socket = path()};
    const auto sink = make_sink(options);
    if (sink) (*sink)->write(record("hello"));
    options.rotation.reset();
    const auto other = make_sink(options);
    if (other) (*other)->write(record("of somebody else's standard error"));
    ::dup2(before.get(), STDERR_FILENO);
    ASSERT_TRUE(sink && other);
    EXPECT_THAT(contents(file), testing::AllOf(HasSubstr("hello"), HasSubstr("somebody else's")));
    if (!there) continue;
    EXPECT_THAT(read_some(journal.get()), HasSubstr("hello"));
    char byte;
    EXPECT_EQ(::recv(journal.get(), &byte, 1, MSG_DONTWAIT), -1) << "the other one was not asked to go there";
  }
}

TEST_F(Journal, MustBeASocket) {
  EXPECT_EQ(JournalSink::open(path(), "x").error().code, ErrorCode::kNotFound);
  std::ofstream(path()) << "no socket";
  EXPECT_EQ(JournalSink::open(path(), "x").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(JournalSink::open(std::string(200, 'x'), "x").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Journal, IsKnownByDeviceAndInode) {
  const auto [reader, writer] = pipe_pair();
  struct stat status {};
  ASSERT_EQ(::fstat(writer.get(), &status), 0);
  const std::string right = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  EXPECT_TRUE(is_journal_stream(writer.get(), right.c_str()));
  EXPECT_FALSE(is_journal_stream(writer.get(), (right + "1").c_str()));
  EXPECT_FALSE(is_journal_stream(writer.get(), nullptr));
  EXPECT_FALSE(is_journal_stream(-1, right.c_str()));
  for (const char* const wrong : {"", ":", "1", "1:", ":1", "a:b", "1:2:3", "-1:-1"}) {
    EXPECT_FALSE(is_journal_stream(writer.get(), wrong)) << wrong;
  }
}

}  // namespace
}  // namespace adyton::log
