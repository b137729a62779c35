#include "vmm/vsock/capture.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <cstring>
#include <ctime>

#include "observe/vsock_record.h"
#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using observe::RecordReader;
using observe::RecordRing;
using ::testing::ElementsAre;
using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::write_now;

struct CaptureTest : VsockTest {
  struct Client {
    explicit Client(size_t capacity = 1 << 16) : memory(*RecordRing::make_memory(capacity)) {}
    UniqueFd memory;
    RecordRing ring = *RecordRing::map(memory.get());
    RecordReader reader{ring};
    UniqueFd wake;
  };
  std::unique_ptr<Client> start(CaptureFilter filter = {}, size_t capacity = 1 << 16) {
    auto client = std::make_unique<Client>(capacity);
    auto wake = device->captures().add(client->memory.get(), std::move(filter));
    EXPECT_TRUE(wake) << wake.error().message;
    client->wake = std::move(*wake);
    return client;
  }
  // "SOURCE CID:OP:PAYLOAD", with the packet's size if it was cut.
  static std::vector<std::string> read(Client& client) {
    std::vector<std::string> packets;
    for (;;) {
      const auto record = client.reader.next();
      if (!record || !*record) return packets;
      EXPECT_EQ((*record)->type, observe::kVsockPacketRecord);
      EXPECT_NEAR(static_cast<double>((*record)->time), static_cast<double>(std::time(nullptr)) * 1e9, 60e9);
      observe::VsockPacketRecord start;
      std::memcpy(&start, (*record)->bytes.data(), sizeof(start));
      PacketHeader header;
      std::memcpy(&header, start.header, sizeof(header));
      const auto payload = (*record)->bytes.subspan(sizeof(start));
      std::string text = std::to_string(header.src_cid) + ":" + std::to_string(static_cast<int>(header.op)) + ":" +
                         std::string(payload.begin(), payload.end());
      if (start.payload_size != payload.size()) text += " of " + std::to_string(start.payload_size);
      packets.push_back(text);
    }
  }
};

TEST_F(CaptureTest, SeesBothDirectionsWithTheirPayload) {
  guest.post_receive_buffers();
  auto client = start();
  const int fd = open();
  guest.send(Op::kRw, kGuestPort, kPort, "in");
  driver->settle();
  write_now(fd, "out");
  driver->settle();
  EXPECT_THAT(read(*client), ElementsAre("7:1:", "2:2:", "7:5:in", "2:5:out"));
}

TEST_F(CaptureTest, KeepsWhatTheFilterSays) {
  device->muxer().listen(kPort + 1, [this](UniqueFd stream) { accepted.push_back(std::move(stream)); }).value();
  guest.post_receive_buffers();
  auto by_port = start({.ports = {kPort + 1, 77}});
  auto cut = start({.ports = {}, .max_payload = 3});
  open();
  guest.send(Op::kRw, kGuestPort, kPort, "first");
  guest.send(Op::kRequest, kGuestPort, kPort + 1);
  guest.send(Op::kRw, kGuestPort, kPort + 1, "second");
  guest.send(Op::kRst, 77, 4711);
  driver->settle();
  EXPECT_THAT(read(*by_port), ElementsAre("7:1:", "7:5:second", "7:3:", "2:2:"));
  EXPECT_THAT(read(*cut), ElementsAre("7:1:", "2:2:", "7:5:fir of 5", "7:1:", "7:5:sec of 6", "7:3:", "2:2:"));
}

TEST_F(CaptureTest, StartsAndEndsWhileTheGuestRuns) {
  guest.post_receive_buffers();
  open();
  auto first = start();
  auto second = start();
  guest.send(Op::kRw, kGuestPort, kPort, "1");
  driver->settle();
  EXPECT_THAT(read(*first), ElementsAre("7:5:1"));
  first->wake.reset();
  driver->settle();
  EXPECT_EQ(device->captures().size(), 1u);
  guest.send(Op::kRw, kGuestPort, kPort, "2");
  driver->settle();
  EXPECT_THAT(read(*first), ElementsAre());
  EXPECT_THAT(read(*second), ElementsAre("7:5:1", "7:5:2"));
  second->wake.reset();
  driver->settle();
  EXPECT_EQ(device->captures().size(), 0u);
}

TEST_F(CaptureTest, DropsForASlowReaderAndGoesOn) {
  guest.post_receive_buffers();
  auto client = start({}, 4096);
  const int fd = open();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(guest.send(Op::kRw, kGuestPort, kPort, std::string(1000, 'x')));
    driver->settle();
    EXPECT_EQ(read_now(fd).size(), 1000u) << "the guest is not held up";
  }
  const size_t kept = read(*client).size();
  EXPECT_LT(kept, 10u);
  EXPECT_GE(client->reader.dropped(), 52 - kept);
  guest.send(Op::kRw, kGuestPort, kPort, "again");
  driver->settle();
  EXPECT_THAT(read(*client), ::testing::Contains("7:5:again"));
}

TEST_F(CaptureTest, WakesAReaderThatSleeps) {
  auto client = start();
  pollfd woken{.fd = client->wake.get(), .events = POLLIN, .revents = 0};
  ASSERT_TRUE(client->reader.arm());
  EXPECT_EQ(::poll(&woken, 1, 0), 0);
  guest.send(Op::kRst, 1, 2);
  driver->settle();
  EXPECT_EQ(::poll(&woken, 1, 0), 1);
}

TEST_F(CaptureTest, HasALimitAndTakesOnlyRings) {
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < observe::kMaxCaptures; ++i) clients.push_back(start({}, 4096));
  const auto ring = *RecordRing::make_memory(4096);
  EXPECT_EQ(device->captures().add(ring.get(), {}).error().code, ErrorCode::kExhausted);
  clients.pop_back();
  driver->settle();
  EXPECT_TRUE(device->captures().add(ring.get(), {}));
  EXPECT_EQ(device->captures().add(clients[0]->wake.get(), {}).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace adyton::vmm::vsock
