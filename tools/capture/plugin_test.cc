// Wireshark's plugin (tools/wireshark/adyton.lua), by tshark, on captures that do not have all that was sent.
#include <gmock/gmock.h>

#include "tools/capture/oracle.h"
#include "tools/capture/pcapng_writer.h"

namespace adyton::capture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::lines_of;
using testing::OracleTest;
using testing::Sent;

// RpcBinder's messages (AOSP: libs/binder/RpcWireFormat.h), version 2.
class Bytes {
 public:
  Bytes& number(uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(value >> (8 * i));
    return *this;
  }
  Bytes& add(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  Bytes& string16(std::string_view text) {
    number(static_cast<uint32_t>(text.size()));
    for (const char c : text) bytes_ += {c, '\0'};
    bytes_ += {'\0', '\0'};
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
    return *this;
  }
  operator std::string() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string message(uint32_t command, const std::string& body) {
  return Bytes().number(command).number(static_cast<uint32_t>(body.size())).number(0).number(0).add(body);
}
std::string call(uint32_t code, const std::string& arguments, std::string_view interface = "com.example.IThing") {
  const std::string parcel = Bytes().string16(interface).add(arguments);
  return message(0, Bytes()
                        .number(3)  // an object of the server's
                        .number(1)
                        .number(code)
                        .number(0)
                        .number(0)
                        .number(0)
                        .number(static_cast<uint32_t>(parcel.size()))
                        .number(0)
                        .number(0)
                        .number(0)
                        .add(parcel));
}
std::string reply(const std::string& results) {
  const std::string parcel = Bytes().number(0).add(results);
  return message(1, Bytes().number(0).number(static_cast<uint32_t>(parcel.size())).number(0).number(0).number(0).add(parcel));
}
std::string release(uint32_t object) { return message(2, Bytes().number(3).number(object).number(1).number(0)); }
std::string new_session() { return Bytes().number(2).number(0).number(0).number(0).add(std::string("cci\0\0\0\0\0", 8)); }
std::string session_accepted() { return Bytes().number(2).number(0); }

struct PluginTest : OracleTest {
  // Packets of a session that the host opened, a millisecond apart.
  void send(Sent packet) {
    packet.time += packets.size() * 1'000'000;
    packet.kept = payload_limit(snaplen);
    packets.push_back({packet, std::exchange(dropped, 0)});
  }
  void host(const std::string& payload) { send({.from_host = true, .payload = payload}); }
  void guest(const std::string& payload) { send({.payload = payload}); }
  void open() {
    send({.from_host = true, .op = Op::kRequest});
    send({.op = Op::kResponse});
    host(new_session());
    guest(session_accepted());
  }
  void write() {
    PcapngWriter writer(output, "adyton", snaplen);
    ASSERT_TRUE(writer.add_interface({.name = "vm"}));
    for (const auto& [packet, lost] : packets) {
      const auto bytes = testing::record_of(packet);
      ASSERT_TRUE(writer.packet(0, *read_packet(testing::read_record(bytes, packet.time)), lost, ""));
    }
    ASSERT_TRUE(writer.flush());
    ASSERT_TRUE(output.flush());
  }
  [[nodiscard]] std::vector<std::string> plugin(const std::string& names, const std::string& filter,
                                                const std::string& more = "") const {
    return fields(names, "-X lua_script:" ADYTON_LUA " -E occurrence=a -E aggregator='|' -Y '" + filter + "' " + more);
  }
  // What is said of messages, without their times.
  [[nodiscard]] std::vector<std::string> messages(const std::string& more = "") const {
    auto lines = plugin("rpcbinder.message", "rpcbinder.message", more);
    for (std::string& line : lines) {
      for (size_t at = 0; (at = line.find(" (1.000 ms)")) != std::string::npos;) line.erase(at, 11);
    }
    return lines;
  }

  std::vector<std::pair<Sent, uint64_t>> packets;  // and how many were dropped before them
  uint32_t snaplen = kMaxPacketSize;
  uint64_t dropped = 0;  // before the next one
};

// ---- packets that were cut

TEST_F(PluginTest, PacketsThatWereCutAreShown) {
  for (const uint32_t most : {76u, 90u, 200u}) {
    SCOPED_TRACE(most);
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
    packets.clear();
    snaplen = most;
    send({.op = Op::kRequest});
    guest(std::string(1000, 'x'));
    send({.op = Op::kShutdown, .flags = 3});
    write();
    EXPECT_THAT(plugin("adyton.stream adyton.offset _ws.col.Protocol _ws.col.Info", "adyton.op == 5"),
                ElementsAre("0 0 VSOCK guest:1024 > host:5000 stream data, 1000 bytes"));
    EXPECT_THAT(plugin("_ws.col.Info", "adyton.op == 4"), ElementsAre("guest:1024 > host:5000 stream shutdown"));
    // Wireshark's own fields are there too, and it does not call a packet damaged that was cut.
    EXPECT_THAT(plugin("vsock.virtio.op", "adyton.op == 5"), ElementsAre("5"));
    EXPECT_THAT(plugin("frame.number", "_ws.malformed || _ws.lua.error"), IsEmpty());
  }
}

TEST_F(PluginTest, CallsThatWereCutKeepTheirMethodsAndTimes) {
  snaplen = kHeadersSize + 120;
  open();
  for (const uint32_t code : {1u, 2u}) {
    host(call(code, std::string(1000, 'a')));
    guest(release(1) + reply(std::string(400, 'r')));
  }
  host(call(3, ""));
  guest(reply(""));
  write();
  EXPECT_THAT(plugin("rpcbinder.message", "rpcbinder.message && frame.number > 4"),
              ElementsAre("call IThing.code 1(...), cut short", "release object 1|reply IThing.code 1 (1.000 ms), cut short",
                          "call IThing.code 2(...), cut short", "release object 1|reply IThing.code 2 (1.000 ms), cut short",
                          "call IThing.code 3()", "reply IThing.code 3 (1.000 ms)"));
  EXPECT_THAT(plugin("rpcbinder.latency", "rpcbinder.command == 1"), ElementsAre("0.001", "0.001", "0.001"));
  EXPECT_THAT(plugin("frame.number", "rpcbinder.odd"), IsEmpty());
}

// A message of several packets, each of which was cut.
TEST_F(PluginTest, AMessageOfSeveralCutPacketsIsPassedOver) {
  snaplen = kHeadersSize + 120;
  open();
  const std::string large = call(1, std::string(2000, 'a'));
  host(large.substr(0, 700));
  host(large.substr(700, 700));
  host(large.substr(1400));
  guest(reply(""));
  host(call(2, ""));
  guest(reply(""));
  write();
  EXPECT_THAT(plugin("frame.number rpcbinder.message", "rpcbinder.message && frame.number > 4"),
              ElementsAre("5 call IThing.code 1(...), cut short", "8 reply IThing.code 1 (3.000 ms)", "9 call IThing.code 2()",
                          "10 reply IThing.code 2 (1.000 ms)"));
  EXPECT_THAT(plugin("frame.number", "rpcbinder.odd"), IsEmpty());
}

// With 14 bytes of payload only commands and sizes are left, and where the second message of a packet begins is not seen.
TEST_F(PluginTest, LittleOfEachPacketIsEnoughForCommandsAndTimes) {
  snaplen = 90;
  send({.from_host = true, .op = Op::kRequest});
  send({.op = Op::kResponse});
  host(new_session().substr(0, 16));
  host(new_session().substr(16));
  guest(session_accepted());
  host(call(1, ""));
  guest(reply(""));
  host(call(2, "") + release(7));
  guest(reply(""));
  host(call(3, ""));
  guest(reply(""));
  write();
  EXPECT_THAT(plugin("frame.number rpcbinder.command", "rpcbinder.command"),
              ElementsAre("6 0", "7 1", "8 0", "9 1", "10 0", "11 1"));
  // What followed the second call is not known, and so not whether the next reply is its own.
  EXPECT_THAT(plugin("rpcbinder.latency", "rpcbinder.command == 1"), ElementsAre("0.001", "", "0.001"));
  EXPECT_THAT(plugin("frame.number", "rpcbinder.odd"), IsEmpty());
}

// ---- connections

// Linux guests answer the host's end of a connection with two resets.
TEST_F(PluginTest, WhatComesAfterTheEndIsNoConnectionOfItsOwn) {
  for (int i = 0; i < 2; ++i) {
    send({.from_host = true, .op = Op::kRequest});
    send({.op = Op::kResponse});
    send({.payload = "hello"});
    send({.from_host = true, .op = Op::kShutdown, .flags = 3});
    send({.op = Op::kReset});
    send({.op = Op::kReset});
    send({.from_host = true, .op = Op::kCreditUpdate});
    send({.op = Op::kShutdown, .flags = 3});
  }
  // The request of a third one with these ports is missing.
  send({.payload = "again"});
  send({.guest_port = 7, .op = Op::kCreditUpdate});
  write();
  EXPECT_THAT(plugin("adyton.stream", "adyton"),
              ElementsAre("0", "0", "0", "0", "0", "0", "0", "0", "1", "1", "1", "1", "1", "1", "1", "1", "2", "3"));
  EXPECT_THAT(plugin("frame.number", "adyton.began_before"), ElementsAre("17", "18"));
}

// ---- sessions that were open before the capture

TEST_F(PluginTest, ASessionThatWasOpenIsDecoded) {
  host(call(1, ""));
  guest(release(3) + reply(""));
  guest(call(2, "abcd", "com.example.ICallback"));
  host(reply(""));
  write();
  EXPECT_THAT(messages(), ElementsAre("call IThing.code 1()", "release object 3|reply IThing.code 1",
                                      "call ICallback.code 2(...)", "reply ICallback.code 2"));
  EXPECT_THAT(plugin("adyton.stream", "adyton.began_before"), ElementsAre("0", "0", "0", "0"));
}

TEST_F(PluginTest, ASessionIsDecodedFromItsFirstWholeMessageOn) {
  const std::string large = call(1, std::string(1000, 'a'));
  host(large.substr(600));
  guest(reply(""));
  guest(reply(std::string(2000, 'r')).substr(0, 100));  // of a message in two packets only the first one is waited for
  guest(reply(std::string(2000, 'r')).substr(100));
  host(call(2, "") + call(3, "").substr(0, 20));
  host(call(3, "").substr(20));
  guest(reply(""));
  write();
  EXPECT_THAT(messages(), ElementsAre("reply", "reply", "call IThing.code 2()", "call IThing.code 3()", "reply IThing.code 3"));
}

// AOSP's version 0, of Android 13, has shorter replies and does not say how long a parcel is.
TEST_F(PluginTest, TheVersionOfAnOpenSessionIsFound) {
  const auto old_call = [](uint32_t code) {
    std::string whole = call(code, "");
    for (int i = 40; i < 44; ++i) whole[i] = 0;
    return whole;
  };
  guest(message(1, Bytes().number(0).number(0)));
  host(old_call(4));
  guest(message(1, Bytes().number(0).number(0).number(42)));
  write();
  EXPECT_THAT(messages(), ElementsAre("reply", "call IThing.code 4()", "reply IThing.code 4"));
  EXPECT_THAT(plugin("frame.number", "rpcbinder.odd"), IsEmpty());
}

TEST_F(PluginTest, PortsThatAreNamedAreTakenForRpcBinderSooner) {
  const std::string two = call(2, "") + call(3, "").substr(0, 20);
  host(two);
  host(call(3, "").substr(20));
  write();
  EXPECT_THAT(messages(), IsEmpty()) << "what begins like a message does not end like one";
  EXPECT_THAT(messages("-o rpcbinder.ports:5000"), ElementsAre("call IThing.code 2()", "call IThing.code 3()"));
}

TEST_F(PluginTest, OtherProtocolsAreNoSessions) {
  host("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
  guest(std::string(16, '\0'));
  guest(std::string(4096, '\0'));
  host(Bytes().number(1).number(2).number(3).number(4).number(5).number(6));
  host(Bytes().number(0).number(64).number(0).number(0).add(std::string(64, 'x')));
  host(Bytes().number(2).number(16).number(0).number(0).number(9).number(1).number(1).number(0));
  write();
  EXPECT_THAT(plugin("frame.number", "rpcbinder"), IsEmpty());
}

TEST_F(PluginTest, DroppedPacketsDoNotEndTheDecoding) {
  open();
  host(call(1, ""));
  dropped = 3;
  host(call(2, ""));
  guest(reply(""));
  host(call(3, std::string(1000, 'a')).substr(0, 500));
  dropped = 1;
  guest(reply(""));
  host(call(4, ""));
  guest(reply(""));
  write();
  EXPECT_THAT(plugin("frame.number", "frame.drop_count > 0"), ElementsAre("6", "9"));
  EXPECT_THAT(messages(),
              ElementsAre("new session, version 2|connection ready", "session accepted, version 2", "call IThing.code 1()",
                          "call IThing.code 2()", "reply IThing.code 2", "reply", "call IThing.code 4()", "reply IThing.code 4"));
}

// ---- where the plugin is

TEST_F(PluginTest, FindsItsMapOfInterfacesWhereItIsInstalled) {
  open();
  host(call(1, ""));
  write();
  const std::string map =
      R"({"interfaces": {"com.example.IThing": {"methods": {"1": {"name": "poke", "arguments": [], "result": "void"}}}}})";
  const auto method_by = [&](const std::string& place, const std::string& maps) {
    // A folder with the plugin at one place, and maps with the method's name at others.
    const std::string script =
        "set -e; folder=$(mktemp -d); cd $folder; mkdir -p lib/some/wireshark/plugins share/adyton elsewhere; cp " ADYTON_LUA
        " " +
        place + "; for map in " + maps + "; do echo '" + map + "' > $map; done; tshark -X lua_script:$folder/" + place +
        "/adyton.lua -r " + path + " -Y 'rpcbinder.code == 1' -T fields -e rpcbinder.method; rm -r $folder";
    return lines_of(testing::output_of(script));
  };
  EXPECT_THAT(method_by("lib/some/wireshark/plugins", "share/adyton/interfaces.json"), ElementsAre("poke"));
  EXPECT_THAT(method_by("elsewhere", "elsewhere/interfaces.json"), ElementsAre("poke"));
  EXPECT_THAT(method_by("elsewhere", "share/adyton/interfaces.json"), ElementsAre("code 1"));
}

}  // namespace
}  // namespace adyton::capture
