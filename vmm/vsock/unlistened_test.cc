// Connections of the guest to ports that nobody listens on: who is asked, and what the answer does. And connections of the host
// whose socket somebody else made, which begin with the hybrid protocol's OK.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using namespace std::chrono_literals;
using testing::at_end;
using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::would_wait;
using testing::write_now;

struct Ends {
  UniqueFd ours;
  UniqueFd theirs;
};
Ends make_ends(int type = SOCK_STREAM) {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

struct Unlistened : VsockTest {
  Unlistened() : VsockTest(Muxer::Limits{.max_waiting = 3}) {
    device->muxer().set_asker([this](const Muxer::Question& question) { questions.push_back(question); });
    guest.post_receive_buffers();
  }
  std::vector<Muxer::Question> questions;
};

TEST_F(Unlistened, AnAnswerWithASocketAccepts) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  EXPECT_FALSE(guest.receive());
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].port, 5555u);
  EXPECT_EQ(questions[0].type, PacketType::kStream);
  Ends ends = make_ends();
  device->muxer().answer(questions[0].id, std::move(ends.theirs));
  expect_packet(Op::kResponse);
  guest.send(Op::kRw, kGuestPort, 5555, "hello");
  driver->settle();
  EXPECT_EQ(read_now(ends.ours.get()), "hello");
  write_now(ends.ours.get(), "answer");
  EXPECT_EQ(receive_data(6), "answer");
}

TEST_F(Unlistened, AnAnswerWithoutSocketRefuses) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  driver->settle();
  device->muxer().answer(questions.at(0).id, UniqueFd());
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Unlistened, NoAnswerRefusesInTheEnd) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  driver->settle();
  advance(1s);
  EXPECT_FALSE(guest.receive());
  advance(2s);
  expect_packet(Op::kRst);
  Ends ends = make_ends();
  device->muxer().answer(questions.at(0).id, std::move(ends.theirs));
  driver->settle();
  EXPECT_TRUE(at_end(ends.ours.get()));
  EXPECT_FALSE(guest.receive());
}

TEST_F(Unlistened, AGuestThatGivesUpIsNotConnected) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  guest.send(Op::kRst, kGuestPort, 5555);
  driver->settle();
  Ends ends = make_ends();
  device->muxer().answer(questions.at(0).id, std::move(ends.theirs));
  driver->settle();
  EXPECT_TRUE(at_end(ends.ours.get()));
  EXPECT_FALSE(guest.receive());
  guest.send(Op::kRequest, kGuestPort, 5555);
  driver->settle();
  EXPECT_EQ(questions.size(), 2u);
}

TEST_F(Unlistened, NothingButTheSameRequestMakesSenseBeforeTheAnswer) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  guest.send(Op::kRequest, kGuestPort, 5555);
  EXPECT_FALSE(guest.receive());
  EXPECT_EQ(questions.size(), 1u);
  guest.send(Op::kRw, kGuestPort, 5555, "too early");
  expect_packet(Op::kRst);
}

TEST_F(Unlistened, QuestionsThatAreTooManyWaitForTheirTurn) {
  constexpr uint32_t kMany = 20;
  for (uint32_t i = 0; i < kMany; ++i) guest.send(Op::kRequest, kGuestPort + i, 5555);
  EXPECT_FALSE(guest.receive());
  EXPECT_EQ(questions.size(), 3u);
  for (uint32_t i = 0; i < kMany; ++i) {
    ASSERT_LE(questions.size(), i + 3u);
    device->muxer().answer(questions.at(i).id, UniqueFd());
    const auto refused = guest.receive();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->header.op, Op::kRst);
    EXPECT_EQ(refused->header.dst_port, kGuestPort + i);
  }
  EXPECT_EQ(questions.size(), kMany);
}

TEST_F(Unlistened, ADeviceResetForgetsQuestions) {
  guest.send(Op::kRequest, kGuestPort, 5555);
  driver->settle();
  driver->reset();
  Ends ends = make_ends();
  device->muxer().answer(questions.at(0).id, std::move(ends.theirs));
  driver->settle();
  EXPECT_TRUE(at_end(ends.ours.get()));
}

TEST_F(Unlistened, AListenerGoesFirst) {
  open();
  EXPECT_TRUE(questions.empty());
}

TEST_F(Unlistened, SeqpacketsAreAskedForToo) {
  guest.type = PacketType::kSeqpacket;
  guest.send(Op::kRequest, kGuestPort, 5555);
  driver->settle();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].type, PacketType::kSeqpacket);
  Ends ends = make_ends(SOCK_SEQPACKET);
  device->muxer().answer(questions[0].id, std::move(ends.theirs));
  expect_packet(Op::kResponse);
  write_now(ends.ours.get(), "message");
  EXPECT_EQ(receive_data(7), "message");
}

TEST_F(VsockTest, AHybridClientIsGreetedWhenTheGuestAccepts) {
  guest.post_receive_buffers();
  Ends ends = make_ends();
  write_now(ends.ours.get(), "early");
  device->muxer().connect_hybrid(kGuestPort, std::move(ends.theirs));
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  EXPECT_TRUE(would_wait(ends.ours.get()));
  guest.send(Op::kResponse, kGuestPort, request->header.src_port);
  guest.send(Op::kRw, kGuestPort, request->header.src_port, "data");
  driver->settle();
  EXPECT_EQ(read_now(ends.ours.get()), "OK " + std::to_string(request->header.src_port) + "\ndata");
  const auto data = guest.receive();
  ASSERT_TRUE(data);
  EXPECT_EQ(data->text(), "early");
  EXPECT_EQ(data->header.fwd_cnt, 4u);  // the greeting is not the guest's
}

TEST_F(VsockTest, AHybridClientThatIsRefusedHearsNothing) {
  guest.post_receive_buffers();
  Ends ends = make_ends();
  device->muxer().connect_hybrid(kGuestPort, std::move(ends.theirs));
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  guest.send(Op::kRst, kGuestPort, request->header.src_port);
  driver->settle();
  EXPECT_TRUE(at_end(ends.ours.get()));
}

TEST_F(VsockTest, AHybridClientThatHasGoneOrHasNoRoomEndsTheConnection) {
  guest.post_receive_buffers();
  for (const bool gone : {true, false}) {
    Ends ends = make_ends();
    if (!gone) {
      while (write_now(ends.theirs.get(), std::string(4096, 'x')) > 0) {}
      while (write_now(ends.theirs.get(), "x") > 0) {}
    }
    device->muxer().connect_hybrid(kGuestPort, std::move(ends.theirs));
    const auto request = guest.receive();
    ASSERT_TRUE(request);
    if (gone) ends.ours.reset();
    guest.send(Op::kResponse, kGuestPort, request->header.src_port);
    expect_packet(Op::kRst);
    EXPECT_EQ(connections(), 0u);
  }
}

}  // namespace
}  // namespace adyton::vmm::vsock
