#include "tools/capture/text_writer.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <iterator>

namespace adyton::capture {
namespace {

constexpr uint32_t kShutReceive = 1;
constexpr uint32_t kShutSend = 2;
constexpr uint32_t kEndOfMessage = 1;
constexpr uint32_t kEndOfRecord = 2;

std::string type_text(Type type) {
  if (type == Type::kStream) return "stream";
  if (type == Type::kSeqpacket) return "seqpacket";
  return fmt::format("type {}", static_cast<uint16_t>(type));
}

std::string flags_text(const Packet& packet) {
  if (packet.op == Op::kShutdown) {
    switch (packet.flags) {
      case kShutReceive: return ", no more receiving";
      case kShutSend: return ", no more sending";
      case kShutReceive | kShutSend: return ", both ways";
      default: break;
    }
  } else if (packet.op == Op::kData && packet.type == Type::kSeqpacket && (packet.flags & ~(kEndOfMessage | kEndOfRecord)) == 0) {
    return fmt::format("{}{}", packet.flags & kEndOfMessage ? ", end of message" : "",
                       packet.flags & kEndOfRecord ? ", end of record" : "");
  }
  return packet.flags != 0 ? fmt::format(", flags {:#x}", packet.flags) : "";
}

std::string time_text(uint64_t nanoseconds) {
  const auto seconds = static_cast<time_t>(nanoseconds / 1'000'000'000);
  tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:09}", local.tm_hour, local.tm_min, local.tm_sec, nanoseconds % 1'000'000'000);
}

void append_dump(std::string& text, std::span<const uint8_t> bytes) {
  for (size_t at = 0; at < bytes.size(); at += 16) {
    const auto line = bytes.subspan(at, std::min<size_t>(16, bytes.size() - at));
    fmt::format_to(std::back_inserter(text), "\t{:#06x}:  ", at);
    for (size_t i = 0; i < 16; ++i) {
      text += i < line.size() ? fmt::format("{:02x}", line[i]) : "  ";
      if (i % 2 == 1) text += ' ';
    }
    text += ' ';
    for (const uint8_t byte : line) text += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
    text += '\n';
  }
}

}  // namespace

std::string packet_text(const Packet& packet, bool verbose) {
  std::string text = fmt::format("{}.{} > {}.{}: {} {}", packet.src_cid, packet.src_port, packet.dst_cid, packet.dst_port,
                                 type_text(packet.type), op_name(packet.op));
  if (op_name(packet.op) == "unknown op") fmt::format_to(std::back_inserter(text), " {}", static_cast<uint16_t>(packet.op));
  if (packet.op == Op::kData || packet.payload_size > 0)
    fmt::format_to(std::back_inserter(text), ", length {}", packet.payload_size);
  text += flags_text(packet);
  if (verbose) fmt::format_to(std::back_inserter(text), ", buf_alloc {}, fwd_cnt {}", packet.buf_alloc, packet.fwd_cnt);
  return text;
}

Result<void> TextWriter::add_interface(const Interface& interface) {
  names_.push_back(interface.name);
  return {};
}

Result<void> TextWriter::packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) {
  std::string text;
  if (lost > 0) text += fmt::format("[{} packets of {} were dropped here]\n", lost, names_[interface]);
  text += time_text(packet.time) + ' ';
  if (style_.names) text += names_[interface] + ' ';
  text += packet_text(packet, style_.verbose);
  if (!comment.empty()) text += " [" + comment + ']';
  text += '\n';
  if (style_.dump) append_dump(text, packet.payload);
  return output_.write(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace adyton::capture
