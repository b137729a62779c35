#include "tools/capture/pcapng_writer.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace adyton::capture {
namespace {

constexpr uint32_t kSectionHeader = 0x0A0D0D0A;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kInterfaceStatistics = 5;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1A2B3C4D;

constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kComment = 1;
constexpr uint16_t kSectionOs = 3;
constexpr uint16_t kSectionApplication = 4;
constexpr uint16_t kInterfaceName = 2;
constexpr uint16_t kInterfaceText = 3;
constexpr uint16_t kInterfaceTimeResolution = 9;
constexpr uint16_t kPacketFlags = 2;
constexpr uint16_t kPacketDropCount = 4;
constexpr uint16_t kStatisticsStart = 2;
constexpr uint16_t kStatisticsEnd = 3;
constexpr uint16_t kStatisticsReceived = 4;
constexpr uint16_t kStatisticsDropped = 5;

constexpr uint8_t kNanoseconds = 9;  // a negative power of ten
constexpr uint32_t kInbound = 1;
constexpr uint32_t kOutbound = 2;

std::string host_system() {
  utsname name{};
  if (::uname(&name) != 0) return "Linux";
  return std::string(name.sysname) + " " + name.release;
}

}  // namespace

// One block as it grows: type, length, body, options, length.
class PcapngWriter::Block {
 public:
  Block(std::vector<uint8_t>& bytes, uint32_t type) : bytes_(bytes) {
    bytes_.clear();
    number(type);
    number(uint32_t{0});  // the length, when it is known
  }
  template <typename T>
  void number(T value) {
    append(&value, sizeof(value));
  }
  // Most significant half first, whatever the byte order.
  void time(uint64_t nanoseconds) {
    number(static_cast<uint32_t>(nanoseconds >> 32));
    number(static_cast<uint32_t>(nanoseconds));
  }
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  // So many bytes of the block stand somewhere else, at this place of it.
  void skip(size_t size) {
    elsewhere_ += size;
    pad();
  }
  void padded(const void* data, size_t size) {
    append(data, size);
    pad();
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  void option(uint16_t code, const void* data, size_t size) {
    number(code);
    number(static_cast<uint16_t>(size));
    padded(data, size);
    options_ = true;
  }
  // Cut to what an option can hold.
  void option(uint16_t code, std::string_view text) { option(code, text.data(), std::min<size_t>(text.size(), 0xfffc)); }
  template <typename T>
  requires std::is_integral_v<T>
  void option(uint16_t code, T value) { option(code, &value, sizeof(value)); }
  void time_option(uint16_t code, uint64_t nanoseconds) {
    const uint32_t halves[2] = {static_cast<uint32_t>(nanoseconds >> 32), static_cast<uint32_t>(nanoseconds)};
    option(code, halves, sizeof(halves));
  }
  // The block without what stands elsewhere.
  std::span<const uint8_t> finish() {
    if (options_) {
      number(kEndOfOptions);
      number(uint16_t{0});
    }
    const auto length = static_cast<uint32_t>(elsewhere_ + bytes_.size() + sizeof(uint32_t));
    number(length);
    std::memcpy(bytes_.data() + sizeof(uint32_t), &length, sizeof(length));
    return bytes_;
  }

 private:
  void pad() { bytes_.resize(bytes_.size() + (4 - (bytes_.size() + elsewhere_) % 4) % 4); }

  std::vector<uint8_t>& bytes_;
  size_t elsewhere_ = 0;
  bool options_ = false;
};

Result<void> PcapngWriter::write(Block& block) { return output_.write(block.finish()); }

Result<void> PcapngWriter::add_interface(const Interface& interface) {
  if (!std::exchange(section_, true)) {
    Block section(bytes_, kSectionHeader);
    section.number(kByteOrderMagic);
    section.number(uint16_t{1});  // version 1.0
    section.number(uint16_t{0});
    section.number(int64_t{-1});  // its length is not known
    section.option(kSectionOs, host_system());
    section.option(kSectionApplication, application_);
    TRY(write(section));
  }
  Block block(bytes_, kInterfaceDescription);
  block.number(static_cast<uint16_t>(kLinkType));
  block.number(uint16_t{0});
  block.number(snaplen_);
  block.option(kInterfaceName, interface.name);
  block.option(kInterfaceText, "vsock of the Adyton virtual machine " + interface.name);
  block.option(kInterfaceTimeResolution, kNanoseconds);
  return write(block);
}

Result<void> PcapngWriter::packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) {
  // Headers and options are put together; the payload goes straight to the output, as it is most of what there is to copy.
  write_headers(packet, frame_);
  const size_t headers = std::min<size_t>(frame_.size(), snaplen_);
  const auto payload = packet.payload.first(std::min<size_t>(packet.payload.size(), snaplen_ - headers));
  Block block(bytes_, kEnhancedPacket);
  block.number(interface);
  block.time(packet.time);
  block.number(static_cast<uint32_t>(headers + payload.size()));
  block.number(packet.size());
  block.append(frame_.data(), headers);
  const size_t before_payload = block.size();
  block.skip(payload.size());
  if (!comment.empty()) block.option(kComment, comment);
  // Seen from the host, whose capture it is.
  block.option(kPacketFlags, packet.from_host() ? kOutbound : kInbound);
  if (lost > 0) block.option(kPacketDropCount, lost);
  const auto bytes = block.finish();
  TRY(output_.write(bytes.first(before_payload)));
  TRY(output_.write(payload));
  return output_.write(bytes.subspan(before_payload));
}

Result<void> PcapngWriter::statistics(uint32_t interface, const Interface& totals) {
  Block block(bytes_, kInterfaceStatistics);
  block.number(interface);
  block.time(totals.ended);
  block.time_option(kStatisticsStart, totals.started);
  block.time_option(kStatisticsEnd, totals.ended);
  block.option(kStatisticsReceived, totals.received + totals.dropped);
  block.option(kStatisticsDropped, totals.dropped);
  return write(block);
}

}  // namespace adyton::capture
