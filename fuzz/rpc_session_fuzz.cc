// The server's side of an RpcBinder session, fed with commands that are nearly right, and with bytes that are not. The service
// behind it keeps objects, calls them back and passes descriptors on, so that replies to its calls come from the input too.
// Whatever comes, the session ends with the input, and nothing of it is left.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "rpc/connection.h"
#include "rpc/parcel.h"
#include "rpc/server.h"
#include "rpc/session_core.h"
#include "rpc/thread_set.h"

namespace {

using namespace adyton;
using namespace adyton::rpc;
using fuzz::FuzzInput;
using fuzz::require;
using Bytes = std::vector<uint8_t>;

std::atomic<int> alive = 0;

class Service final : public LocalBinder {
 public:
  Service() { ++alive; }
  ~Service() override { --alive; }
  std::string interface_descriptor() override { return "fuzz"; }

  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
    switch (code % 8) {
      case 1:
        while (data.remaining() >= sizeof(int32_t)) {
          auto object = data.read_nullable_binder();
          if (!object) return object.error();
          keep(*object);
        }
        break;
      case 2: kept_.clear(); break;
      case 3: {
        auto object = data.read_binder();
        if (!object) return object.error();
        Parcel call, answer;
        call.write_int32(7);
        call.write_binder(shared_from_this());
        if (Status called = (*object)->transact(code, call, &answer); !called.is_ok()) return called;
        if (auto back = answer.read_nullable_binder()) keep(*back);
        break;
      }
      case 4:
        for (const auto& object : kept_) reply->write_binder(object);
        break;
      case 5: {
        auto fd = data.read_fd();
        if (!fd) return fd.error();
        return reply->write_fd(fd->get());
      }
      case 6: reply->write_binder(std::make_shared<Service>()); break;
      case 7:
        for (const auto& object : kept_) { static_cast<void>(object->transact(code, data, nullptr, kOneway)); }
        break;
      default: break;
    }
    return Status::ok();
  }

 private:
  void keep(const std::shared_ptr<Binder>& object) {
    // Services that hold each other would never go.
    if (!object || object->local()) return;
    kept_.push_back(object);
    if (kept_.size() > 20) kept_.erase(kept_.begin());
  }

  std::vector<std::shared_ptr<Binder>> kept_;
};

// Delivers prepared bytes, with descriptors at some places; takes all that is sent.
class MemoryTransport final : public Transport {
 public:
  struct Chunk {
    Bytes bytes;
    size_t fds = 0;
  };
  explicit MemoryTransport(std::vector<Chunk> chunks) : chunks_(std::move(chunks)) { std::ranges::reverse(chunks_); }

  Result<> send(std::span<iovec>, std::span<const UniqueFd>, Drain* drain, std::chrono::milliseconds) override {
    if (ended_) return fail(ErrorCode::kUnavailable, "ended");
    // As if there were no room at first.
    if (drain && drain->wants_input() && !chunks_.empty()) return drain->on_input();
    return {};
  }
  Result<bool> try_send(std::span<const uint8_t>, Drain*, std::chrono::milliseconds) override { return ++tries_ % 4 != 0; }
  Result<size_t> receive(std::span<uint8_t> into, std::vector<UniqueFd>* fds, std::chrono::milliseconds) override {
    if (ended_ || chunks_.empty()) return fail(ErrorCode::kUnavailable, "ended");
    Chunk& chunk = chunks_.back();
    for (; chunk.fds > 0; --chunk.fds) {
      if (fds) fds->emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    const size_t count = std::min(into.size(), chunk.bytes.size());
    std::memcpy(into.data(), chunk.bytes.data(), count);
    chunk.bytes.erase(chunk.bytes.begin(), chunk.bytes.begin() + static_cast<ptrdiff_t>(count));
    if (chunk.bytes.empty()) chunks_.pop_back();
    return count;
  }
  void shutdown() override { ended_ = true; }
  [[nodiscard]] int fd() const override { return -1; }

 private:
  std::vector<Chunk> chunks_;
  bool ended_ = false;
  unsigned tries_ = 0;
};

template <typename T>
void append(Bytes& bytes, T value) {
  const size_t at = bytes.size();
  bytes.resize(at + sizeof(T));
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

uint64_t any_address(FuzzInput& input) {
  const auto number = static_cast<uint32_t>(input.below(6));
  return wire::address(input.below(4) == 0 ? input.take<uint32_t>() : static_cast<uint32_t>(input.below(4)), number);
}

// Mostly one that the client may send, or one that the server made.
uint64_t object_address(FuzzInput& input) {
  if (input.below(24) == 0) return any_address(input);
  if (input.below(8) == 0) return wire::address(wire::kAddressCreated | wire::kAddressForServer, 0);
  return wire::address(wire::kAddressCreated, static_cast<uint32_t>(input.below(6)));
}

uint64_t target_address(FuzzInput& input) {
  if (input.below(24) == 0) return any_address(input);
  return wire::address(wire::kAddressCreated | wire::kAddressForServer, input.below(64) == 63 ? 1 : 0);
}

// What makes the next command plausible.
struct Progress {
  uint32_t version;
  unsigned calls_back = 0;
  uint64_t oneways = 0;
};

struct Body {
  Bytes parcel;
  std::vector<uint32_t> table;
  size_t fds = 0;
};

Body some_parcel(FuzzInput& input, uint32_t version) {
  Body body;
  for (size_t i = input.below(6); i > 0; --i) {
    const auto position = static_cast<uint32_t>(body.parcel.size());
    switch (input.below(4)) {
      case 0: append(body.parcel, input.take<uint32_t>()); break;
      case 1:
        append(body.parcel, int32_t{2});
        append(body.parcel, static_cast<int32_t>(body.fds));
        if (input.below(32) != 31) ++body.fds;
        if (input.below(8) != 0) body.table.push_back(position);
        break;
      default:
        append(body.parcel, int32_t{1});
        append(body.parcel, object_address(input));
        append(body.parcel, int32_t{input.below(64) == 63 ? 1 : 12});
        if (version >= 2 && input.below(16) != 0) body.table.push_back(position);
    }
  }
  if (version == 0) body.table.clear();
  return body;
}

void finish(Bytes& command, const Body& body) {
  command.insert(command.end(), body.parcel.begin(), body.parcel.end());
  for (const uint32_t position : body.table) append(command, position);
  wire::store(std::span(command), 4, static_cast<uint32_t>(command.size() - wire::kHeaderSize));
}

MemoryTransport::Chunk some_command(FuzzInput& input, Progress& progress) {
  MemoryTransport::Chunk chunk;
  Bytes& bytes = chunk.bytes;
  const size_t kind = input.below(64);
  if (kind == 63) {
    const auto raw = input.take_bytes(1 + input.below(64));
    bytes.assign(raw.begin(), raw.end());
    return chunk;
  }
  bytes.resize(wire::kHeaderSize);
  const Body body = some_parcel(input, progress.version);
  if (kind % 4 == 3) {
    wire::store(std::span(bytes), 0, wire::kDecStrong);
    append(bytes, input.below(2) == 0 ? object_address(input) : target_address(input));
    append(bytes, static_cast<uint32_t>(input.below(4)));
    append(bytes, uint32_t{0});
    finish(bytes, {});
    return chunk;
  }
  if (kind % 4 == 2 && (progress.calls_back > 0 || input.below(32) == 0)) {
    if (progress.calls_back > 0) --progress.calls_back;
    wire::store(std::span(bytes), 0, wire::kReply);
    append(bytes, static_cast<int32_t>(input.below(8) == 7 ? -1 : 0));
    if (progress.version > 0) {
      append(bytes, static_cast<uint32_t>(body.parcel.size()));
      bytes.resize(bytes.size() + 12);
    }
  } else {
    const auto code = static_cast<uint32_t>(input.below(16));
    const bool oneway = input.below(4) == 3;
    if (code % 8 == 3 && !oneway) ++progress.calls_back;
    wire::store(std::span(bytes), 0, wire::kTransact);
    append(bytes, input.below(32) == 31 ? uint64_t{0} : target_address(input));
    append(bytes, code);
    append(bytes, static_cast<uint32_t>(oneway));
    append(bytes, oneway ? progress.oneways++ ^ (input.below(8) == 7 ? 1U : 0U) : uint64_t{0});
    append(bytes, static_cast<uint32_t>(body.parcel.size()));
    bytes.resize(bytes.size() + 12);
  }
  finish(bytes, body);
  chunk.fds = body.fds;
  if (input.below(64) == 63) bytes[input.below(bytes.size())] ^= static_cast<uint8_t>(1U << input.below(8));
  return chunk;
}

void run_session(FuzzInput& input) {
  const auto version = static_cast<uint32_t>(input.below(3));
  const auto fd_passing = FdPassing{static_cast<uint8_t>(input.below(2))};
  std::vector<MemoryTransport::Chunk> chunks;
  // The client asks for the root first, as they do.
  Bytes get_root(wire::kHeaderSize + wire::kTransactionSize);
  wire::store(std::span(get_root), 4, static_cast<uint32_t>(wire::kTransactionSize));
  chunks.push_back({std::move(get_root), 0});
  Progress progress{.version = version};
  while (!input.empty() && chunks.size() < 200) {
    auto command = some_command(input, progress);
    if (!command.bytes.empty()) chunks.push_back(std::move(command));
  }

  auto core = std::make_shared<SessionCore>(
      SessionCore::Config{
          .side = Side::kServer,
          .version = version,
          .fd_passing = fd_passing,
          .limits = {.nodes = 30, .queued_calls = 10, .queued_bytes = 500},
          .root = std::make_shared<Service>(),
      },
      std::make_shared<ThreadSet>());
  core->serve(std::make_shared<Connection>(std::make_unique<MemoryTransport>(std::move(chunks)), fd_passing == FdPassing::kUnix));
  require(!core->is_alive());
  require(core->node_count() == 0);
  require(core.use_count() == 1);
}

// Through a server, so that the handshake is part of it.
void run_server(std::span<const uint8_t> bytes) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const UniqueFd client(ends[0]);
  Server server({.allow_fds = true});
  server.set_root(std::make_shared<Service>());
  require(server.add_connection(UniqueFd(ends[1])).has_value());
  static_cast<void>(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  ::shutdown(client.get(), SHUT_WR);
  std::array<uint8_t, 256> answer;
  while (::recv(client.get(), answer.data(), answer.size(), 0) > 0) {}
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  if (input.below(64) == 63) {
    run_server(input.take_bytes(4096));
  } else {
    run_session(input);
  }
  require(alive == 0);
  return 0;
}
