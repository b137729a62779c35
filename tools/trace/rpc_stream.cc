#include "tools/trace/rpc_stream.h"

#include <algorithm>

#include "rpc/wire.h"

namespace adyton::trace {
namespace {

namespace wire = rpc::wire;

constexpr uint32_t kMaxBody = 16u << 20;     // bytes: more than any peer takes
constexpr uint32_t kMaxShape = 0x00ff'ffff;  // codes of methods end there (AOSP: IBinder::LAST_CALL_TRANSACTION)
constexpr uint32_t kOneway = 1;              // a flag (AOSP: IBinder::FLAG_ONEWAY)

// What the parcel of a call begins with: the interface's name, UTF-16 behind its length.
std::string interface_of(std::span<const uint8_t> parcel, size_t most) {
  if (parcel.size() < 4) return {};
  const auto length = wire::load<uint32_t>(parcel, 0);
  if (length == 0 || length > most || parcel.size() < 4 + size_t{length} * 2) return {};
  std::string name;
  for (size_t i = 0; i < length; ++i) {
    const auto c = wire::load<uint16_t>(parcel, 4 + i * 2);
    if (c <= ' ' || c > '~') return {};
    name.push_back(static_cast<char>(c));
  }
  return name;
}

}  // namespace

bool RpcStream::begins_command(std::span<const uint8_t> bytes) const {
  if (bytes.size() < wire::kHeaderSize || wire::load<uint64_t>(bytes, 8) != 0) return false;
  const auto header = wire::Header::decode(bytes.first<wire::kHeaderSize>());
  const auto body = bytes.subspan(wire::kHeaderSize);
  if (synced_) return header.command <= wire::kDecStrong && header.body_size <= kMaxBody;
  switch (header.command) {
    case wire::kTransact: {
      if (header.body_size < wire::kTransactionSize || header.body_size > kMaxBody || body.size() < wire::kTransactionSize)
        return false;
      const auto call = wire::Transaction::decode(body.first<wire::kTransactionSize>());
      return wire::address_options(call.address) <= (wire::kAddressCreated | wire::kAddressForServer) &&
             call.parcel_size <= header.body_size - wire::kTransactionSize && wire::load<uint64_t>(body, 28) == 0;
    }
    case wire::kReply: {
      if (header.body_size < wire::kReplySize || header.body_size > kMaxBody || body.size() < wire::kReplySize) return false;
      const auto reply = wire::Reply::decode(body.first<wire::kReplySize>());
      return reply.status <= 0 && reply.parcel_size <= header.body_size - wire::kReplySize && wire::load<uint64_t>(body, 8) == 0;
    }
    case wire::kDecStrong: return header.body_size == wire::kDecStrongSize;
    default: return false;
  }
}

void RpcStream::feed(std::span<const uint8_t> packet, const Sink& sink) {
  if (!synced_) {
    have_ = 0;
    size_ = seen_ = 0;
    if (!begins_command(packet)) return;
    synced_ = true;
  }
  while (!packet.empty()) {
    if (size_ == 0) {
      const size_t part = std::min(packet.size(), wire::kHeaderSize - have_);
      std::copy_n(packet.begin(), part, kept_.begin() + static_cast<ptrdiff_t>(have_));
      have_ += part;
      packet = packet.subspan(part);
      if (have_ < wire::kHeaderSize) return;
      if (!begins_command(std::span(kept_).first(have_))) return lose();
      seen_ = wire::kHeaderSize;
      size_ = wire::kHeaderSize + wire::Header::decode(std::span(kept_).first<wire::kHeaderSize>()).body_size;
    }
    const size_t part = static_cast<size_t>(std::min<uint64_t>(packet.size(), size_ - seen_));
    const size_t kept = std::min(part, kKept - have_);
    std::copy_n(packet.begin(), kept, kept_.begin() + static_cast<ptrdiff_t>(have_));
    have_ += kept;
    seen_ += part;
    packet = packet.subspan(part);
    if (seen_ < size_) return;
    finish(sink);
    have_ = 0;
    size_ = seen_ = 0;
    if (!synced_) return;
  }
}

void RpcStream::finish(const Sink& sink) {
  const std::span<const uint8_t> body = std::span<const uint8_t>(kept_).first(have_).subspan(wire::kHeaderSize);
  const auto header = wire::Header::decode(std::span<const uint8_t>(kept_).first<wire::kHeaderSize>());
  if (header.command == wire::kTransact) {
    if (body.size() < wire::kTransactionSize) return lose();
    const auto call = wire::Transaction::decode(body.first<wire::kTransactionSize>());
    Command command{
        .kind = Command::Kind::kCall, .address = call.address, .code = call.code, .oneway = (call.flags & kOneway) != 0};
    if (call.code <= kMaxShape && call.address != 0)
      command.interface = interface_of(body.subspan(wire::kTransactionSize), kMaxInterface);
    sink(command);
  } else if (header.command == wire::kReply) {
    if (body.size() < wire::kReplySizeVersion0) return lose();
    // Version 0 of the protocol has no more than the status before the parcel, which is then not looked at.
    const bool sized = body.size() >= wire::kReplySize;
    const auto reply = wire::Reply::decode(body.first(sized ? wire::kReplySize : wire::kReplySizeVersion0));
    Command command{.kind = Command::Kind::kReply, .status = reply.status};
    if (sized && reply.status == 0 && reply.parcel_size >= 4 && body.size() >= wire::kReplySize + 4)
      command.exception = wire::load<int32_t>(body, wire::kReplySize);
    sink(command);
  }
}

}  // namespace adyton::trace
