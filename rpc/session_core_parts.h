// What the parts of SessionCore share, and nobody else sees.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rpc/session_core.h"

namespace adyton::rpc {

inline constexpr size_t kDecStrongCommandSize = wire::kHeaderSize + wire::kDecStrongSize;

inline std::unexpected<Error> violation(std::string what) {
  return fail(ErrorCode::kCorrupt, "the peer breaks the protocol: " + std::move(what));
}

// Writes the command that gives back `amount` references to the start of `bytes`.
inline size_t put_dec_strong(std::span<uint8_t> bytes, uint64_t address, uint64_t amount) {
  wire::Header{wire::kDecStrong, wire::kDecStrongSize}.encode(bytes.first<wire::kHeaderSize>());
  wire::DecStrong{address, static_cast<uint32_t>(amount)}.encode(bytes.subspan<wire::kHeaderSize, wire::kDecStrongSize>());
  return kDecStrongCommandSize;
}

// What the calling thread is doing for sessions, the latest on top: which connections it holds, and whether a call may nest on
// them.
class SessionCore::Frame {
 public:
  enum class Doing : uint8_t { kUsingFree, kUsingServed, kServing, kServingOneway };

  Frame(const SessionCore& session, Connection& connection, Doing doing)
      : session_(session),
        connection_(connection),
        doing_(doing),
        depth_(depth() + (is_serving(doing) ? 1 : 0)),
        below_(std::exchange(top_, this)) {}
  ~Frame() { top_ = below_; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  static const Frame* top_of(const SessionCore& session) {
    const Frame* frame = top_;
    while (frame && &frame->session_ != &session) frame = frame->below_;
    return frame;
  }
  // Whether this thread keeps a connection for calls from being free.
  static bool holds_connection(const SessionCore& session) {
    for (const Frame* frame = top_; frame; frame = frame->below_) {
      if (&frame->session_ == &session && frame->doing_ == Doing::kUsingFree) return true;
    }
    return false;
  }
  // How many calls this thread is in the middle of serving.
  static unsigned depth() { return top_ ? top_->depth_ : 0; }

  // The peer waits for our reply and will serve what comes instead.
  [[nodiscard]] bool allows_nested() const { return doing_ == Doing::kServing; }
  [[nodiscard]] Connection& connection() const { return connection_; }

 private:
  static bool is_serving(Doing doing) { return doing == Doing::kServing || doing == Doing::kServingOneway; }

  static inline constinit thread_local const Frame* top_ = nullptr;
  const SessionCore& session_;
  Connection& connection_;
  const Doing doing_;
  const unsigned depth_;
  const Frame* const below_;
};

// The use of a connection for one call.
class SessionCore::Lease {
 public:
  // One that the calling thread serves.
  explicit Lease(Connection& nested) : connection_(&nested) {}
  Lease(SessionCore& session, std::shared_ptr<Connection> free, bool to_back)
      : session_(&session), free_(std::move(free)), connection_(free_.get()), to_back_(to_back) {}
  Lease(Lease&& other) noexcept
      : session_(other.session_), free_(std::move(other.free_)), connection_(other.connection_), to_back_(other.to_back_) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (free_) session_->release(std::move(free_), to_back_);
  }
  Connection& operator*() const { return *connection_; }
  [[nodiscard]] Frame::Doing doing() const { return free_ ? Frame::Doing::kUsingFree : Frame::Doing::kUsingServed; }

 private:
  SessionCore* session_ = nullptr;
  std::shared_ptr<Connection> free_;
  Connection* connection_;
  bool to_back_ = false;
};

// Collects what DEC_STRONGs let go of, and lets it go when the connection may be used again: destructors are user code.
class SessionCore::ReleaseLater final : public Connection::DecStrongSink {
 public:
  explicit ReleaseLater(SessionCore& session) : session_(session) {}
  ~ReleaseLater() {
    const bool empty = std::ranges::any_of(released_, &NodeTable::Released::table_is_empty);
    released_.clear();
    if (empty) session_.end("neither side holds an object of the other any more");
    if (unused_) session_.end("nobody uses it any more");
  }
  ReleaseLater(const ReleaseLater&) = delete;
  ReleaseLater& operator=(const ReleaseLater&) = delete;

  void on_dec_strong(const wire::DecStrong& command) override {
    const std::lock_guard lock(session_.nodes_mutex_);
    auto released = session_.nodes_.drop_sent(command.address, command.amount);
    session_.give_back_later(command.address, released.give_back);
    unused_ = unused_ || session_.is_unused();
    if (released.object || released.table_is_empty) released_.push_back(std::move(released));
  }

 private:
  SessionCore& session_;
  std::vector<NodeTable::Released> released_;
  bool unused_ = false;
};

// A parcel as it is sent: with addresses in place of objects.
struct SessionCore::Payload {
  std::span<const uint8_t> bytes;
  std::vector<uint8_t> patched;  // what `bytes` shows if there are binders
  std::vector<uint32_t> positions;
  std::span<const UniqueFd> fds;

  [[nodiscard]] size_t size() const { return bytes.size() + positions.size() * sizeof(uint32_t); }
};

}  // namespace adyton::rpc
