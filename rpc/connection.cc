#include "rpc/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace adyton::rpc {

Result<> Connection::send(std::span<iovec> parts, std::span<const UniqueFd> fds, DecStrongSink* sink,
                          std::chrono::milliseconds patience) {
  sink_ = sink;
  auto sent = transport_->send(parts, fds, sink ? this : nullptr, patience);
  sink_ = nullptr;
  return sent;
}

Result<bool> Connection::try_send(std::span<const uint8_t> bytes, DecStrongSink* sink, std::chrono::milliseconds patience) {
  sink_ = sink;
  auto sent = transport_->try_send(bytes, sink ? this : nullptr, patience);
  sink_ = nullptr;
  return sent;
}

Result<size_t> Connection::receive(std::span<uint8_t> into, std::chrono::milliseconds timeout) {
  if (!with_fds_) {
    auto count = transport_->receive(into, nullptr, timeout);
    if (count) received_ += *count;
    return count;
  }
  std::vector<UniqueFd> fds;
  auto count = transport_->receive(into, &fds, timeout);
  if (!count) return count;
  received_ += *count;
  if (!fds.empty()) {
    // Not more than one command's descriptors can wait: an honest peer's come with a command that is read to its end before the
    // next.
    size_t waiting = fds.size();
    for (const Arrival& arrival : arrivals_) waiting += arrival.fds.size();
    if (waiting > 2 * kMaxFdsPerMessage)
      return fail(ErrorCode::kCorrupt, "the peer sends more file descriptors than a command can have");
    arrivals_.push_back({received_, std::move(fds)});
  }
  return count;
}

Result<size_t> Connection::fill(std::chrono::milliseconds timeout) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  const size_t count = TRY(receive(std::span(buffer_).subspan(end_), timeout));
  end_ += count;
  return count;
}

std::chrono::steady_clock::time_point Connection::deadline() const {
  return timeout_.count() < 0 ? std::chrono::steady_clock::time_point() : std::chrono::steady_clock::now() + timeout_;
}

std::chrono::milliseconds Connection::left_until(std::chrono::steady_clock::time_point deadline) const {
  if (timeout_.count() < 0) return kForever;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds{0});
}

Result<> Connection::read(std::span<uint8_t> into) {
  const auto until = deadline();
  for (;;) {
    const size_t count = std::min(into.size(), end_ - begin_);
    if (count > 0) std::memcpy(into.data(), buffer_.data() + begin_, count);
    begin_ += count;
    into = into.subspan(count);
    if (into.empty()) return {};
    if (TRY(fill(left_until(until))) == 0) return fail(ErrorCode::kUnavailable, "the peer says nothing");
  }
}

Result<std::vector<uint8_t>> Connection::read_bytes(size_t count) {
  // A size that the peer only claims must not cost us memory before the bytes are there.
  constexpr size_t kStep = 256 * 1024;
  const auto until = deadline();
  std::vector<uint8_t> bytes;
  const size_t buffered = std::min(count, end_ - begin_);
  bytes.reserve(count);  // address space only
  bytes.assign(buffer_.begin() + static_cast<ptrdiff_t>(begin_), buffer_.begin() + static_cast<ptrdiff_t>(begin_ + buffered));
  begin_ += buffered;
  size_t have = buffered;
  while (have < count) {
    if (have == bytes.size()) bytes.resize(std::min(count, have + kStep));
    const size_t received = TRY(receive(std::span(bytes).subspan(have), left_until(until)));
    if (received == 0) return fail(ErrorCode::kUnavailable, "the peer says nothing");
    have += received;
  }
  return bytes;
}

Result<wire::Header> Connection::read_header() {
  std::array<uint8_t, wire::kHeaderSize> bytes;
  if (auto done = read(bytes); !done) return std::unexpected(std::move(done).error());
  return wire::Header::decode(bytes);
}

Result<std::vector<UniqueFd>> Connection::take_fds() {
  std::vector<UniqueFd> fds;
  const uint64_t consumed = received_ - (end_ - begin_);
  while (!arrivals_.empty() && arrivals_.front().end <= consumed) {
    auto& more = arrivals_.front().fds;
    fds.insert(fds.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    arrivals_.erase(arrivals_.begin());
  }
  if (fds.size() > kMaxFdsPerMessage) return fail(ErrorCode::kCorrupt, "a command with too many file descriptors");
  return fds;
}

bool Connection::wants_input() {
  if (end_ - begin_ < wire::kHeaderSize) return true;
  return wire::Header::decode(std::span<const uint8_t, wire::kHeaderSize>(buffer_.data() + begin_, wire::kHeaderSize)).command ==
         wire::kDecStrong;
}

Result<> Connection::on_input() {
  if (auto count = fill(std::chrono::milliseconds{0}); !count) return std::unexpected(std::move(count).error());
  take_dec_strongs();
  return {};
}

void Connection::take_dec_strongs() {
  constexpr size_t kSize = wire::kHeaderSize + wire::kDecStrongSize;
  while (end_ - begin_ >= kSize) {
    const std::span<const uint8_t, kSize> bytes(buffer_.data() + begin_, kSize);
    const auto header = wire::Header::decode(bytes.first<wire::kHeaderSize>());
    // A malformed one is left to the reader, which ends the session.
    if (header.command != wire::kDecStrong || header.body_size != wire::kDecStrongSize) return;
    begin_ += kSize;
    sink_->on_dec_strong(wire::DecStrong::decode(bytes.last<wire::kDecStrongSize>()));
  }
}

Result<> Connection::drain(DecStrongSink& sink) {
  sink_ = &sink;
  Result<> done;
  take_dec_strongs();
  if (wants_input()) done = on_input();
  sink_ = nullptr;
  return done;
}

}  // namespace adyton::rpc
