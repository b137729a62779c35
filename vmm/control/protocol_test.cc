#include "vmm/control/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace adyton::vmm::control {
namespace {

Configure full_configuration() {
  return Configure{.cpus = 4,
                   .memory = 512ull << 20,
                   .command_line = "console=ttyAMA0 quoted=\"a b\"",
                   .kernel = 0,
                   .firmware = {},
                   .initrd = 1,
                   .disks = {{.fd = 3, .read_only = false, .serial = "root"}, {.fd = 4, .read_only = true, .serial = ""}},
                   .console_output = 5,
                   .console_input = 6,
                   .virtio_console = true,
                   .listen_ports = {1024, 4294967295u},
                   .listen_seqpacket_ports = {2000},
                   .ask_about_ports = true,
                   .instance_id = std::string("\x00\x7f\xff", 3) + std::string(kInstanceIdSize - 3, 'i')};
}

template <typename Body>
void expect_round_trip(Body body, size_t fd_count) {
  const Request request{.id = 7, .body = std::move(body)};
  auto text = encode(request);
  ASSERT_TRUE(text) << text.error().message;
  auto back = decode_request(*text, fd_count);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, request);
}

TEST(ControlProtocol, RequestsSurviveTheRoundTrip) {
  expect_round_trip(full_configuration(), 7);
  expect_round_trip(Start{}, 0);
  expect_round_trip(Connect{.port = 99}, 0);
  expect_round_trip(Connect{.port = 99, .type = VsockType::kSeqpacket}, 0);
  expect_round_trip(Connect{.port = 99, .socket = 0}, 1);
  expect_round_trip(Answer{.question = 4294967295u, .socket = 0}, 1);
  expect_round_trip(Answer{.question = 0}, 0);
  expect_round_trip(Capture{.ring = 1, .ports = {1, 4294967295u}, .max_payload = 96}, 2);
  expect_round_trip(AttachDebugger{.listener = 1, .hold = true}, 2);
  expect_round_trip(AttachDebugger{.listener = 0}, 1);
  expect_round_trip(Listen{.port = 7, .type = VsockType::kSeqpacket}, 0);
  expect_round_trip(Suspend{}, 0);
  expect_round_trip(Resume{}, 0);
  expect_round_trip(Trace{.rings = 0, .ring_count = 5, .categories = 31}, 1);
  expect_round_trip(Dump{}, 0);
  expect_round_trip(CrashReports{.memory = 1}, 2);
  expect_round_trip(Inspect{}, 0);
  expect_round_trip(Stop{}, 0);
  expect_round_trip(Describe{}, 0);
  expect_round_trip(ReadStatistics{}, 0);
  expect_round_trip(SetBalloon{.bytes = kMaxMemory}, 0);
}

TEST(ControlProtocol, EventsSurviveTheRoundTrip) {
  auto reply = decode_event(*encode(Event(Reply{.id = 3, .error = Error{ErrorCode::kPermission, "no"}})), 0);
  ASSERT_TRUE(reply);
  EXPECT_EQ(std::get<Reply>(*reply).id, 3u);
  EXPECT_EQ(std::get<Reply>(*reply).error->code, ErrorCode::kPermission);
  EXPECT_EQ(std::get<Reply>(*reply).error->message, "no");
  auto accepted = decode_event(*encode(Event(Accepted{.port = 1024})), 1);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(std::get<Accepted>(*accepted).port, 1024u);
  accepted = decode_event(*encode(Event(Accepted{.port = 1, .type = VsockType::kSeqpacket})), 1);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(std::get<Accepted>(*accepted).type, VsockType::kSeqpacket);
  auto asked = decode_event(*encode(Event(Asked{.question = 5, .port = 6, .type = VsockType::kSeqpacket})), 0);
  ASSERT_TRUE(asked);
  EXPECT_EQ(std::get<Asked>(*asked).question, 5u);
  EXPECT_EQ(std::get<Asked>(*asked).port, 6u);
  EXPECT_EQ(std::get<Asked>(*asked).type, VsockType::kSeqpacket);
  for (EndReason reason : {EndReason::kShutdown, EndReason::kReset, EndReason::kStopped, EndReason::kCrashed,
                           EndReason::kInternalError, EndReason::kForbiddenCall}) {
    auto ended = decode_event(*encode(Event(Ended{.reason = reason, .message = "why"})), 0);
    ASSERT_TRUE(ended);
    EXPECT_EQ(std::get<Ended>(*ended).reason, reason);
    EXPECT_EQ(std::get<Ended>(*ended).message, "why");
  }
}

TEST(ControlProtocol, DescriptionsSurviveTheRoundTrip) {
  const Description description{.id = 9,
                                .backend = "soft",
                                .isolation = "none",
                                .host_features = {"avx2", "vaes"},
                                .problem = "none at all",
                                .sandbox = {{"empty root", true, ""}, {"user namespace", false, "the host refuses it"}}};
  auto back = decode_event(*encode(Event(description)), 0);
  ASSERT_TRUE(back);
  EXPECT_EQ(std::get<Description>(*back), description);
}

TEST(ControlProtocol, StatisticsSurviveTheRoundTrip) {
  Statistics statistics{.id = 4, .vm_names = {"code_bytes"}, .vm = {UINT64_MAX}, .vcpu_names = {"exits.mmio", "interrupts"}};
  for (uint64_t cpu = 0; cpu < kMaxCpus; ++cpu) statistics.vcpus.push_back({cpu, UINT64_MAX - cpu});
  statistics.devices = {{"virtio-blk", 7, {{1, 2, 3, 4}}}, {"virtio-vsock", 8, {{}, {5, 6, 7, 8}, {}}}};
  statistics.vsock = {.connections = 1, .opened = 2, .refused = 3, .payload_from_guest = 4, .payload_to_guest = 5};
  statistics.balloon = {.target = 6, .actual = 7, .returned = 8, .guest_free = 9, .guest_available = UINT64_MAX};
  auto back = decode_event(*encode(Event(statistics)), 0);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<Statistics>(*back), statistics);
}

TEST(ControlProtocol, StatisticsThatDoNotFitTogetherAreRefused) {
  const Statistics good{.id = 4, .vm_names = {"a"}, .vm = {1}, .vcpu_names = {"b"}, .vcpus = {{1}}, .devices = {{"d", 0, {{}}}}};
  ASSERT_TRUE(decode_event(*encode(Event(good)), 0));
  const auto refused = [&](auto change) {
    Statistics bad = good;
    change(bad);
    return !decode_event(*encode(Event(bad)), 0).has_value();
  };
  EXPECT_TRUE(refused([](Statistics& s) { s.vm.push_back(2); }));
  EXPECT_TRUE(refused([](Statistics& s) { s.vcpus[0].clear(); }));
  EXPECT_TRUE(refused([](Statistics& s) { s.vm_names[0] = "a\n"; }));
  EXPECT_TRUE(refused([](Statistics& s) { s.vm_names[0] = ""; }));
  EXPECT_TRUE(refused([](Statistics& s) { s.devices[0].name = std::string(kMaxStatisticName + 1, 'x'); }));
  EXPECT_TRUE(refused([](Statistics& s) { s.vcpus.resize(kMaxCpus + 1, {1}); }));
  EXPECT_TRUE(refused([](Statistics& s) { s.devices[0].queues.resize(kMaxQueues + 1); }));
}

TEST(ControlProtocol, ADescriptorThatWasNotSentIsRefused) {
  const std::string text = *encode(Request{.id = 1, .body = full_configuration()});
  for (size_t count = 0; count < 7; ++count) {
    auto request = decode_request(text, count);
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().code, ErrorCode::kCorrupt);
  }
  EXPECT_FALSE(decode_event(R"({"type":"accepted","port":1})", 0));
  EXPECT_FALSE(decode_event(R"({"type":"accepted","port":1})", 2));
}

TEST(ControlProtocol, MalformedMessagesAreRefused) {
  for (const char* text : {"", "{", "[]", "null", "7", "\"configure\"", "{}", R"({"id":1})", R"({"id":-1,"type":"start"})",
                           R"({"id":1.5,"type":"start"})", R"({"id":4294967296,"type":"start"})", R"({"id":1,"type":"dance"})",
                           R"({"id":1,"type":7})", R"({"id":1,"type":"connect"})", R"({"id":1,"type":"connect","port":"80"})",
                           R"({"id":1,"type":"configure"})"}) {
    auto request = decode_request(text, 0);
    ASSERT_FALSE(request) << text;
    EXPECT_EQ(request.error().code, ErrorCode::kCorrupt) << text;
  }
  for (const char* text : {"", "{}", R"({"type":"reply"})", R"({"type":"reply","id":1,"error":3})",
                           R"({"type":"reply","id":1,"error":{"code":"x","message":""}})",
                           R"({"type":"ended","reason":"boredom","message":""})", R"({"type":"ended","reason":"reset"})"}) {
    EXPECT_FALSE(decode_event(text, 1)) << text;
  }
}

TEST(ControlProtocol, LimitsAreEnforced) {
  auto refused = [](auto change) {
    Configure c = full_configuration();
    change(c);
    auto text = encode(Request{.id = 1, .body = c});
    return text && !decode_request(*text, 7);
  };
  EXPECT_TRUE(refused([](Configure& c) { c.cpus = 0; }));
  EXPECT_TRUE(refused([](Configure& c) { c.cpus = kMaxCpus + 1; }));
  EXPECT_TRUE(refused([](Configure& c) { c.memory = 0; }));
  EXPECT_TRUE(refused([](Configure& c) { c.memory = kMaxMemory + 1; }));
  EXPECT_TRUE(refused([](Configure& c) { c.kernel.reset(); }));
  EXPECT_TRUE(refused([](Configure& c) { c.firmware = 1; }));
  EXPECT_TRUE(refused([](Configure& c) { c.command_line.assign(kMaxCommandLine + 1, 'x'); }));
  EXPECT_TRUE(refused([](Configure& c) { c.command_line.assign(1, '\0'); }));
  EXPECT_TRUE(refused([](Configure& c) { c.disks[0].serial.assign(kMaxDiskSerial + 1, 's'); }));
  EXPECT_TRUE(refused([](Configure& c) { c.disks.resize(kMaxDisks + 1); }));
  EXPECT_TRUE(refused([](Configure& c) { c.listen_ports.resize(kMaxListenPorts + 1); }));
  EXPECT_TRUE(refused([](Configure& c) { c.instance_id.pop_back(); }));
  EXPECT_TRUE(refused([](Configure& c) { c.instance_id += 'x'; }));
  for (const char* digits : {"0", "zz", "+1", " 1", "0x"}) {
    std::string text = *encode(Request{.id = 1, .body = full_configuration()});
    const size_t at = text.find("007fff");
    text.replace(at, std::string_view(digits).size(), digits);
    if (std::string_view(digits).size() == 1) text.erase(at + 1, 1);
    EXPECT_FALSE(decode_request(text, 7)) << digits;
  }
}

TEST(ControlProtocol, EncodingRefusesWhatCannotBeSent) {
  Configure c = full_configuration();
  c.command_line = "\xff\xfe";
  EXPECT_FALSE(encode(Request{.id = 1, .body = c}));
  EXPECT_FALSE(encode(Event(Ended{.reason = EndReason::kCrashed, .message = std::string(kMaxMessageSize, 'm')})));
}

TEST(ControlProtocol, DamagedMessagesNeverCrashTheDecoder) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string whole = *encode(Request{.id = 1, .body = full_configuration()});
  for (int round = 0; round < 20000; ++round) {
    std::string text = whole;
    for (unsigned changes = random() % 4 + 1; changes != 0; --changes) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, random() % 8 + 1);
        if (text.empty()) text = "{";
      } else {
        text[at] = static_cast<char>(random());
      }
    }
    if (auto request = decode_request(text, 7)) {
      const auto* configuration = std::get_if<Configure>(&request->body);
      ASSERT_NE(configuration, nullptr);
      EXPECT_LT(configuration->console_output, 7u);
      EXPECT_LE(configuration->cpus, kMaxCpus);
    }
    (void)decode_event(text, 1);
  }
}

TEST(ControlProtocol, DeepNestingIsHarmless) {
  EXPECT_FALSE(decode_request(std::string(kMaxMessageSize, '['), 0));
  EXPECT_FALSE(decode_request(std::string(kMaxMessageSize / 2, '[') + std::string(kMaxMessageSize / 2, ']'), 0));
}

}  // namespace
}  // namespace adyton::vmm::control
