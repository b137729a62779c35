#include "cli/exec_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <future>

#include "cli/testing/guest_and_user.h"

namespace adyton::cli {
namespace {

using testing::make_stream;
using testing::read_all;
using testing::write_all;
using ::testing::HasSubstr;

constexpr uint32_t kStreamPort = 5000;

class ExecSessionTest : public testing::GuestAndUser {
 protected:
  void start(bool terminal = false) {
    auto control_ends = make_stream();
    control = std::move(control_ends.a);
    for (auto& [ours, theirs] : streams) {
      auto pair = make_stream();
      ours = std::move(pair.a);
      theirs = std::move(pair.b);
    }
    auto config = std::make_shared<ExecSessionConfig>();
    config->control = std::move(control_ends.b);
    config->connect = [this](uint32_t port) -> Result<UniqueFd> {
      EXPECT_EQ(port, kStreamPort);
      if (next_stream >= streams.size()) return fail(ErrorCode::kUnavailable, "too many");
      return std::move(streams[next_stream++].second);
    };
    config->request.program = "/bin/true";
    config->request.argv = {"true"};
    config->request.terminal = terminal;
    config->stdio = make_user();
    config->signals = signals_out.get();
    outcome = std::async(std::launch::async, [config] { return ExecSession(std::move(*config)).run(); });
  }
  void run_program() {
    tell(guest::Hello{.kernel_release = "6.1", .stream_port = kStreamPort});
    const auto request = hear();
    ASSERT_TRUE(std::holds_alternative<guest::ExecRequest>(request));
    EXPECT_EQ(std::get<guest::ExecRequest>(request).program, "/bin/true");
    tell(guest::Started{.pid = 7});
  }

  std::array<std::pair<UniqueFd, UniqueFd>, 3> streams;  // the guest's end, the host's
  size_t next_stream = 0;
  std::future<Outcome> outcome;
};

TEST_F(ExecSessionTest, AProgramHasItsStreamsAndItsExitCodeIsOurs) {
  start();
  run_program();
  write_all(user_in.get(), "question");
  user_in.reset();
  EXPECT_EQ(read_all(streams[0].first.get()), "question");
  write_all(streams[1].first.get(), "answer");
  write_all(streams[2].first.get(), "complaint");
  tell(guest::Exited{.value = 9});
  write_all(streams[1].first.get(), "s");  // what comes late is not lost
  streams[1].first.reset();
  streams[2].first.reset();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 9);
  EXPECT_EQ(end.message, "");
  EXPECT_EQ(read_all(user_out.get()), "answers");
  EXPECT_EQ(read_all(user_err.get()), "complaint");
}

TEST_F(ExecSessionTest, ATerminalIsOneStream) {
  start(/*terminal=*/true);
  run_program();
  write_all(user_in.get(), "x");
  char byte = 0;
  ASSERT_EQ(::read(streams[0].first.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  write_all(streams[0].first.get(), "$ ");
  tell(guest::Exited{.signalled = true, .value = SIGKILL});
  streams[0].first.reset();
  EXPECT_EQ(outcome.get().exit_code, 128 + SIGKILL);
  EXPECT_EQ(read_all(user_out.get()), "$ ");
  EXPECT_EQ(next_stream, 1u);
}

TEST_F(ExecSessionTest, SignalsGoToTheProgram) {
  start();
  run_program();
  // Its first stream shows that it runs.
  write_all(user_in.get(), "x");
  char byte = 0;
  ASSERT_EQ(::read(streams[0].first.get(), &byte, 1), 1);
  signal(SIGTERM);
  const auto message = hear();
  ASSERT_TRUE(std::holds_alternative<guest::Signal>(message));
  EXPECT_EQ(std::get<guest::Signal>(message).number, static_cast<uint32_t>(SIGTERM));
  control.reset();
  streams = {};
  EXPECT_EQ(outcome.get().exit_code, 125);
}

TEST_F(ExecSessionTest, AProgramThatIsNotThereHasItsOwnCode) {
  start();
  tell(guest::Hello{.stream_port = kStreamPort});
  (void)hear();
  tell(guest::ExecFailed{.error_number = ENOENT, .exit_code = 127, .message = "no such\x1b program"});
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 127);
  EXPECT_EQ(end.message, "no such  program");
}

TEST_F(ExecSessionTest, AGuestThatClosesOrTalksNonsenseIsAnError) {
  start();
  control.reset();
  EXPECT_THAT(outcome.get().message, HasSubstr("takes no further programs"));
  start();
  write_all(control.get(), std::string(64, '\xff'));
  EXPECT_EQ(outcome.get().exit_code, 125);
  start();
  tell(guest::Exited{.value = 0});
  EXPECT_EQ(outcome.get().exit_code, 125);
}

}  // namespace
}  // namespace adyton::cli
