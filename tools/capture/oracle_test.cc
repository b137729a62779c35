// Wireshark's and tcpdump's own programs read every kind of file that we write, and see in it what was sent.
#include "tools/capture/oracle.h"

#include <gmock/gmock.h>

#include "tools/capture/pcap_writer.h"
#include "tools/capture/pcapng_writer.h"

namespace adyton::capture {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using testing::FakeVm;
using ::testing::HasSubstr;
using testing::lines_of;
using ::testing::Not;
using testing::OracleTest;
using testing::output_of;
using testing::Sent;

// A conversation with everything in it.
std::vector<Sent> conversation() {
  std::vector<Sent> packets = {
      {.op = Op::kRequest},
      {.from_host = true, .op = Op::kResponse},
      {.op = Op::kData, .payload = "hello"},
      {.from_host = true, .op = Op::kCreditUpdate, .fwd_cnt = 5},
      {.from_host = true, .op = Op::kData, .payload = std::string(65536, 'z')},
      {.from_host = true, .op = Op::kCreditRequest},
      {.op = Op::kData, .payload = "a record", .type = Type::kSeqpacket, .flags = 1},
      {.op = Op::kShutdown, .flags = 3},
      {.from_host = true, .op = Op::kReset},
  };
  for (size_t i = 0; i < packets.size(); ++i) packets[i].time += i * 1'000'001;
  return packets;
}

TEST_F(OracleTest, TsharkSeesWhatWasSentInPcapng) {
  FakeVm first("first"), second("second");
  for (const Sent& sent : conversation()) {
    first.send(sent);
    second.send(sent);
  }
  PcapngWriter writer(output, "adyton 9.9", kMaxPacketSize);
  record(writer, output, {&first, &second});

  const auto seen = fields(
      "frame.time_epoch frame.interface_name frame.len frame.packet_flags_direction vsock.src_cid vsock.src_port vsock.dst_cid "
      "vsock.dst_port "
      "vsock.op vsock.trans vsock.virtio.op vsock.virtio.type vsock.virtio.flags vsock.virtio.buf_alloc vsock.virtio.fwd_cnt "
      "vsock.virtio.len");
  ASSERT_EQ(seen.size(), 2 * conversation().size());
  constexpr std::array kMonitorOp = {0, 1, 1, 2, 2, 4, 3, 3};
  for (size_t i = 0; i < conversation().size(); ++i) {
    const Sent sent = conversation()[i];
    std::ostringstream expected;
    const std::string guest = "3 " + std::to_string(sent.guest_port), host = "2 " + std::to_string(sent.host_port);
    expected << sent.time / 1'000'000'000 << "." << sent.time % 1'000'000'000 << " first " << 76 + sent.payload.size() << " "
             << (sent.from_host ? "0x00000002 " + host + " " + guest : "0x00000001 " + guest + " " + host) << " "
             << kMonitorOp[static_cast<size_t>(sent.op)] << " 2 " << static_cast<int>(sent.op) << " "
             << static_cast<int>(sent.type) << " 0x" << std::hex;
    expected.width(8);
    expected.fill('0');
    expected << sent.flags << std::dec << " " << sent.buf_alloc << " " << sent.fwd_cnt << " " << sent.payload.size();
    EXPECT_EQ(seen[2 * i], expected.str()) << "packets of the two are in the order of their times";
  }
  EXPECT_THAT(fields("vsock.payload", "-Y 'frame.number == 5'"), ElementsAre("68656c6c6f"));
  const auto comments = fields("frame.comment", "-Y 'frame.comment && frame.interface_id == 0'");
  ASSERT_EQ(comments.size(), 2u);
  EXPECT_EQ(comments[0], "connection opened: guest port 1024 to host port 5000");
  EXPECT_THAT(
      comments[1],
      HasSubstr("connection closed: guest port 1024 to host port 5000; 5 bytes from the guest, 65536 bytes from the host"));
  EXPECT_THAT(output_of("tshark -r " + path + " -Y '_ws.malformed' "), Not(HasSubstr("alformed")));

  const std::string info = output_of("capinfos -M " + path);
  EXPECT_THAT(info, HasSubstr("Encapsulation = Linux vsock"));
  EXPECT_THAT(info, ContainsRegex("Number of packets: +18\n"));
  EXPECT_THAT(info, HasSubstr("nanoseconds"));
  EXPECT_THAT(info, HasSubstr("Capture application: adyton 9.9"));
  EXPECT_THAT(info, HasSubstr("Name = first"));
  EXPECT_THAT(info, HasSubstr("Name = second"));
  EXPECT_THAT(info, HasSubstr("Number of packets = 9"));
  EXPECT_THAT(info, HasSubstr("Number of stat entries = 1"));
}

TEST_F(OracleTest, DropsAreInTheFile) {
  FakeVm vm("vm", 4096);
  int sent = 0;
  while (vm.send({.payload = "x"})) ++sent;
  vm.send({.payload = "y"});
  PcapngWriter writer(output, "adyton", kMaxPacketSize);
  record(writer, output, {&vm});
  EXPECT_THAT(output_of("capinfos -M " + path), ContainsRegex("Number of packets: +" + std::to_string(sent) + "\n"));
  // Wireshark's text tools do not print drops: read the Interface Statistics Block, the file's last.
  std::vector<uint8_t> bytes(1 << 20);
  bytes.resize(static_cast<size_t>(::pread(file.get(), bytes.data(), bytes.size(), 0)));
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  };
  const size_t block = bytes.size() - word(bytes.size() - 4);
  ASSERT_EQ(word(block), 5u);
  // Type, length, interface, time; then start, end, ifrecv, ifdrop with 12 bytes each.
  EXPECT_EQ(word(block + 20 + 24), 4u | 8u << 16);
  EXPECT_EQ(word(block + 20 + 24 + 4), static_cast<uint32_t>(sent + 2));
  EXPECT_EQ(word(block + 20 + 36), 5u | 8u << 16);
  EXPECT_EQ(word(block + 20 + 36 + 4), 2u);
}

TEST_F(OracleTest, TcpdumpReadsBothFormats) {
  for (const bool pcapng : {true, false}) {
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
    FakeVm vm("vm");
    for (const Sent& sent : conversation()) vm.send(sent);
    std::unique_ptr<Writer> writer;
    if (pcapng) {
      writer = std::make_unique<PcapngWriter>(output, "adyton", kMaxPacketSize);
    } else {
      writer = *PcapWriter::create(output, kMaxPacketSize);
    }
    record(*writer, output, {&vm});
    const auto lines = lines_of(output_of("TZ=UTC tcpdump --nano -r " + path));
    ASSERT_GE(lines.size(), conversation().size());
    const std::vector<std::string> packets(lines.end() - static_cast<ptrdiff_t>(conversation().size()), lines.end());
    EXPECT_EQ(packets[0], "22:13:20.123456789 VIRTIO 3.1024 > 2.5000 CONNECT, length 76") << pcapng;
    EXPECT_EQ(packets[2], "22:13:20.125456791 VIRTIO 3.1024 > 2.5000 PAYLOAD, length 81") << pcapng;
    EXPECT_EQ(packets[8], "22:13:20.131456797 VIRTIO 2.5000 > 3.1024 DISCONNECT, length 76") << pcapng;
    EXPECT_THAT(output_of("capinfos -M " + path), ContainsRegex("Number of packets: +9\n"));
  }
}

TEST_F(OracleTest, CutPacketsSayHowLongTheyWere) {
  FakeVm vm("vm");
  vm.send({.payload = std::string(1000, 'x'), .kept = payload_limit(100)});
  PcapngWriter writer(output, "adyton", 100);
  record(writer, output, {&vm});
  EXPECT_THAT(fields("frame.cap_len frame.len"), ElementsAre("100 1076"));
}

}  // namespace
}  // namespace adyton::capture
