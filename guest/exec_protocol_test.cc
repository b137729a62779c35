#include "guest/exec_protocol.h"

#include <gtest/gtest.h>

#include <random>

namespace adyton::guest {
namespace {

ExecRequest large_request() {
  ExecRequest request;
  request.program = "/payload/hello";
  request.argv = {"hello", "", "two words", std::string(1000, 'x')};
  request.env = {"A=1", "B=\xff\xfe"};
  request.workdir = "/data";
  request.hostname = "guest";
  request.uid = 1000;
  request.gid = 1001;
  request.terminal = true;
  request.rows = 50;
  request.columns = 132;
  request.root = RootMode::kDisk;
  request.root_serial = "root";
  request.mounts = {{"disk1", "/data", true}, {"disk2", "/more", false}};
  request.wall_clock_ns = 1'700'000'000'123'456'789;
  return request;
}

std::vector<Message> one_of_each() {
  Hello hello;
  hello.init_started_ns = 1;
  hello.connected_ns = UINT64_MAX;
  hello.kernel_release = "6.1.0";
  hello.stream_port = 0xfffffffe;
  return {hello,      Started{77},      Exited{false, 255, false}, Exited{true, 11, true}, ExecFailed{2, 127, "not found"}, large_request(),
          Signal{15}, WindowSize{1, 2}, Kill{}, SetClock{3}, End{4}};
}

std::vector<uint8_t> encoded(const Message& message) {
  auto bytes = encode(message);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes ? *bytes : std::vector<uint8_t>();
}

TEST(ExecProtocol, EveryMessageSurvivesTheWire) {
  for (const Message& message : one_of_each()) {
    MessageReader reader;
    reader.append(encoded(message));
    auto decoded = reader.next();
    ASSERT_TRUE(decoded) << message.index();
    ASSERT_TRUE(*decoded) << message.index();
    EXPECT_EQ(**decoded, message) << message.index();
    EXPECT_EQ(reader.pending(), 0u);
  }
}

TEST(ExecProtocol, TheLayoutIsFixed) {
  EXPECT_EQ(encoded(Signal{9}), (std::vector<uint8_t>{4, 0, 0, 0, 17, 0, 0, 0, 9, 0, 0, 0}));
  EXPECT_EQ(encoded(Kill{}), (std::vector<uint8_t>{0, 0, 0, 0, 19, 0, 0, 0}));
  EXPECT_EQ(encoded(ExecFailed{0x01020304, 126, "no"}),
            (std::vector<uint8_t>{14, 0, 0, 0, 4, 0, 0, 0, 4, 3, 2, 1, 126, 0, 0, 0, 2, 0, 0, 0, 'n', 'o'}));
}

TEST(ExecProtocol, BytesMayArriveOneByOne) {
  std::vector<uint8_t> stream;
  for (const Message& message : one_of_each()) {
    const auto bytes = encoded(message);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  MessageReader reader;
  std::vector<Message> decoded;
  for (const uint8_t byte : stream) {
    reader.append({&byte, 1});
    auto message = reader.next();
    ASSERT_TRUE(message);
    if (*message) decoded.push_back(**message);
  }
  EXPECT_EQ(decoded, one_of_each());
}

TEST(ExecProtocol, AnExitCodeIsTheShells) {
  EXPECT_EQ((Exited{false, 3, false}).exit_code(), 3);
  EXPECT_EQ((Exited{true, 9, false}).exit_code(), 137);
}

TEST(ExecProtocol, EveryTruncatedBodyIsRefused) {
  for (const Message& message : one_of_each()) {
    const auto bytes = encoded(message);
    const std::span<const uint8_t> body = std::span(bytes).subspan(kFrameHeaderSize);
    const auto type = static_cast<uint16_t>(bytes[4]);
    for (size_t size = 0; size < body.size(); ++size) EXPECT_FALSE(decode_body(type, body.first(size))) << message.index() << " at " << size;
    std::vector<uint8_t> longer(body.begin(), body.end());
    longer.push_back(0);
    EXPECT_FALSE(decode_body(type, longer)) << message.index();
  }
}

TEST(ExecProtocol, RefusesWhatHasNoMeaning) {
  EXPECT_FALSE(encode(Exited{false, 256, false}));
  EXPECT_FALSE(encode(Exited{true, 0, false}));
  EXPECT_FALSE(encode(Signal{0}));
  EXPECT_FALSE(encode(Signal{65}));
  EXPECT_FALSE(encode(ExecFailed{0, 1, ""}));
  ExecRequest request = large_request();
  request.argv.push_back(std::string("a\0b", 3));
  EXPECT_FALSE(encode(request));
  request = large_request();
  request.mounts[0].target = "relative";
  EXPECT_FALSE(encode(request));
  request = large_request();
  request.argv.clear();
  EXPECT_FALSE(encode(request));
}

TEST(ExecProtocol, BoundsWhatARequestMayHold) {
  ExecRequest request = large_request();
  request.env.assign(40, std::string(size_t{100} << 10, 'e'));
  EXPECT_TRUE(encode(request));
  request.env.assign(50, std::string(size_t{100} << 10, 'e'));
  const auto bytes = encode(request);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::kInvalidArgument);
}

TEST(ExecProtocol, RefusesAnOversizedFrameBeforeItArrives) {
  MessageReader reader;
  reader.append(std::vector<uint8_t>{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0});
  EXPECT_FALSE(reader.next());
  reader.append(encoded(Kill{}));
  EXPECT_FALSE(reader.next()) << "a connection out of step stays out of step";
  EXPECT_EQ(reader.pending(), 0u);
}

TEST(ExecProtocol, ALyingCountCostsNoMemory) {
  // An empty program, then an argv that claims 2^32 - 1 elements.
  std::vector<uint8_t> body = {1, 0, 0, 0, 'p', 0xff, 0xff, 0xff, 0xff};
  EXPECT_FALSE(decode_body(16, body));
}

TEST(ExecProtocol, RandomDamageIsDecodedOrRefused) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<uint8_t> stream;
  for (const Message& message : one_of_each()) {
    const auto bytes = encoded(message);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> damaged = stream;
    for (int change = 0; change < 3; ++change) damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
    MessageReader reader;
    size_t decoded = 0;
    for (size_t begin = 0; begin < damaged.size();) {
      const size_t size = std::min<size_t>(1 + random() % 700, damaged.size() - begin);
      reader.append(std::span(damaged).subspan(begin, size));
      begin += size;
      for (;;) {
        auto message = reader.next();
        if (!message || !*message) break;
        // What was decoded can be encoded again.
        EXPECT_TRUE(encode(**message));
        ++decoded;
      }
    }
    EXPECT_LE(decoded, damaged.size() / kFrameHeaderSize);
  }
}

}  // namespace
}  // namespace adyton::guest
