#include "vmm/gdb/packet.h"

#include <charconv>
#include <utility>

namespace adyton::vmm::gdb {
namespace {

constexpr char kEscape = '}', kEscapeBit = 0x20, kInterruptByte = 0x03;
constexpr std::string_view kDigits = "0123456789abcdef";

std::optional<unsigned> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

uint8_t sum(std::string_view data) {
  uint8_t total = 0;
  for (const char c : data) total = static_cast<uint8_t>(total + static_cast<uint8_t>(c));
  return total;
}

std::string without_escapes(std::string_view data) {
  std::string out;
  out.reserve(data.size());
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] == kEscape && i + 1 < data.size()) {
      out.push_back(static_cast<char>(data[++i] ^ kEscapeBit));
    } else {
      out.push_back(data[i]);
    }
  }
  return out;
}

}  // namespace

std::vector<PacketReader::Event> PacketReader::feed(std::string_view bytes) {
  std::vector<Event> events;
  for (const char c : bytes) {
    if (c == '$' && state_ != State::kBetween) {  // the rest of that packet was lost
      events.push_back({Kind::kBroken, {}});
      state_ = State::kBetween;
    }
    switch (state_) {
      case State::kBetween:
        if (c == '$') {
          state_ = State::kData;
          data_.clear();
          too_long_ = false;
        } else if (c == '+') {
          events.push_back({Kind::kAck, {}});
        } else if (c == '-') {
          events.push_back({Kind::kNack, {}});
        } else if (c == kInterruptByte) {
          events.push_back({Kind::kInterrupt, {}});
        }
        break;
      case State::kData:
        if (c == '#') {
          state_ = State::kChecksum1;
        } else if (data_.size() < kMaxPacket) {
          data_.push_back(c);
        } else {
          too_long_ = true;
        }
        break;
      case State::kChecksum1:
        checksum_ = digit(c).value_or(256) << 4;
        state_ = State::kChecksum2;
        break;
      case State::kChecksum2:
        checksum_ |= digit(c).value_or(256);
        if (too_long_ || checksum_ != sum(data_)) {
          events.push_back({Kind::kBroken, {}});
        } else {
          events.push_back({Kind::kPacket, without_escapes(data_)});
        }
        state_ = State::kBetween;
        break;
    }
  }
  return events;
}

std::string encode_packet(std::string_view data) {
  const uint8_t checksum = sum(data);
  std::string packet;
  packet.reserve(data.size() + 4);
  packet.push_back('$');
  packet.append(data);
  packet.push_back('#');
  packet.push_back(kDigits[checksum >> 4]);
  packet.push_back(kDigits[checksum & 15]);
  return packet;
}

std::string escape_binary(std::string_view data) {
  std::string out;
  out.reserve(data.size());
  for (const char c : data) {
    if (c == '$' || c == '#' || c == kEscape || c == '*') {
      out.push_back(kEscape);
      out.push_back(static_cast<char>(c ^ kEscapeBit));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string to_hex(std::span<const uint8_t> bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string to_hex(std::string_view text) { return to_hex(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())); }

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const auto high = digit(hex[i]), low = digit(hex[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<char>(*high << 4 | *low));
  }
  return bytes;
}

bool Parser::skip(char c) {
  if (text_.empty() || text_.front() != c) return false;
  text_.remove_prefix(1);
  return true;
}

bool Parser::skip(std::string_view word) {
  if (!text_.starts_with(word)) return false;
  text_.remove_prefix(word.size());
  return true;
}

std::optional<uint64_t> Parser::number() {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value, 16);
  if (error != std::errc()) return std::nullopt;
  text_.remove_prefix(static_cast<size_t>(end - text_.data()));
  return value;
}

std::string_view Parser::until(char separator) {
  const size_t at = text_.find(separator);
  const std::string_view part = text_.substr(0, at);
  text_.remove_prefix(at == std::string_view::npos ? text_.size() : at + 1);
  return part;
}

}  // namespace adyton::vmm::gdb
