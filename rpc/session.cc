#include "rpc/session.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "rpc/connection.h"
#include "rpc/parcel.h"
#include "rpc/session_core.h"
#include "rpc/tls_context.h"

namespace adyton::rpc {

namespace {

Result<std::shared_ptr<Connection>> open_connection(const Connector& connector, const SessionOptions& options,
                                                    Caller* peer = nullptr) {
  auto socket = TRY(connector());
  if (peer) *peer = identify_peer(socket.get());
  auto transport = options.tls ? TRY(options.tls->connect(std::move(socket))) : make_socket_transport(std::move(socket));
  auto connection = std::make_shared<Connection>(std::move(transport), options.fd_passing == FdPassing::kUnix);
  connection->set_timeout(options.handshake_timeout);
  return connection;
}

Result<> send_header(Connection& connection, uint32_t version, const SessionOptions& options, const wire::SessionId* id,
                     bool incoming) {
  std::array<uint8_t, wire::kConnectionHeaderSize + wire::kSessionIdSize + wire::kConnectionInitSize> bytes{};
  const wire::ConnectionHeader header{
      .version = version,
      .options = incoming ? wire::kConnectionIncoming : uint8_t{0},
      .fd_mode = static_cast<uint8_t>(options.fd_passing),
      .session_id_size = id ? static_cast<uint16_t>(wire::kSessionIdSize) : uint16_t{0},
  };
  header.encode(std::span(bytes).first<wire::kConnectionHeaderSize>());
  size_t size = wire::kConnectionHeaderSize;
  if (id) size += static_cast<size_t>(std::ranges::copy(*id, bytes.begin() + static_cast<ptrdiff_t>(size)).in - id->begin());
  // The side that makes the calls says so.
  if (!incoming) {
    std::ranges::copy(wire::kConnectionInit, bytes.begin() + static_cast<ptrdiff_t>(size));
    size += wire::kConnectionInitSize;
  }
  iovec part{bytes.data(), size};
  return connection.send(std::span(&part, 1), {}, nullptr, options.handshake_timeout);
}

Result<> await_init(Connection& connection) {
  std::array<uint8_t, wire::kConnectionInitSize> bytes;
  if (auto done = connection.read(bytes); !done) return done;
  if (!std::equal(bytes.begin(), bytes.begin() + 4, wire::kConnectionInit.begin())) {
    return fail(ErrorCode::kCorrupt, "the server does not speak RpcBinder");
  }
  return {};
}

Result<> check(const SessionOptions& options) {
  if (options.outgoing_connections == 0) return fail(ErrorCode::kInvalidArgument, "a session needs a connection for calls");
  if (options.max_protocol_version > kProtocolVersion) return fail(ErrorCode::kInvalidArgument, "unknown protocol version");
  if (options.tls && options.fd_passing != FdPassing::kNone)
    return fail(ErrorCode::kInvalidArgument, "TLS carries no file descriptors");
  return {};
}

}  // namespace

Result<std::shared_ptr<Session>> Session::connect(const Endpoint& endpoint, const SessionOptions& options) {
  return connect(connector_to(endpoint, options.handshake_timeout), options);
}

Result<std::shared_ptr<Session>> Session::connect(const Connector& connector, const SessionOptions& options) {
  if (auto valid = check(options); !valid) return std::unexpected(std::move(valid).error());
  Caller peer;
  const auto first = TRY(open_connection(connector, options, &peer));
  if (auto sent = send_header(*first, options.max_protocol_version, options, nullptr, false); !sent) {
    return std::unexpected(std::move(sent).error());
  }
  std::array<uint8_t, wire::kNewSessionResponseSize> response;
  if (auto read = first->read(response); !read) return std::unexpected(std::move(read).error());
  const uint32_t version = wire::NewSessionResponse::decode(response).version;
  if (version > options.max_protocol_version) {
    return fail(ErrorCode::kUnsupported, "the server answers with protocol version " + std::to_string(version) +
                                             ", offered was " + std::to_string(options.max_protocol_version));
  }

  auto core = std::make_shared<SessionCore>(
      SessionCore::Config{
          .side = Side::kClient,
          .version = version,
          .fd_passing = options.fd_passing,
          .max_body_size = options.max_body_size,
          .limits = options.limits,
          .send_patience = options.send_timeout,
          .caller = peer,
          .max_threads = options.incoming_connections,
      },
      std::make_shared<ThreadSet>());
  // From here on the destructor ends what an error leaves half done.
  std::shared_ptr<Session> session(new Session(core));
  const auto add_outgoing = [&core](std::shared_ptr<Connection> connection) -> Result<> {
    if (auto reserved = core->reserve_outgoing(); !reserved) return reserved;
    core->add_outgoing(std::move(connection));
    return {};
  };
  if (auto added = add_outgoing(first); !added) return std::unexpected(std::move(added).error());

  Parcel reply;
  if (Status asked = core->call(nullptr, wire::kGetMaxThreads, Parcel(), &reply, 0); !asked.is_ok())
    return std::unexpected(Error(asked));
  const int32_t threads = TRY(reply.read_int32());
  if (threads < 1) return fail(ErrorCode::kCorrupt, "the server says that it has no threads");
  session->server_threads_ = static_cast<uint32_t>(threads);
  if (Status asked = core->call(nullptr, wire::kGetSessionId, Parcel(), &reply, 0); !asked.is_ok())
    return std::unexpected(Error(asked));
  const auto id_bytes = TRY(reply.read_vector<uint8_t>());
  wire::SessionId id;
  if (id_bytes.size() != id.size()) return fail(ErrorCode::kCorrupt, "the server gives a session id of the wrong size");
  std::ranges::copy(id_bytes, id.begin());
  first->set_timeout(kForever);

  const uint32_t outgoing = std::min(options.outgoing_connections, session->server_threads_);
  for (uint32_t i = 1; i < outgoing; ++i) {
    auto connection = TRY(open_connection(connector, options));
    if (auto sent = send_header(*connection, version, options, &id, false); !sent)
      return std::unexpected(std::move(sent).error());
    connection->set_timeout(kForever);
    if (auto added = add_outgoing(std::move(connection)); !added) return std::unexpected(std::move(added).error());
  }
  for (uint32_t i = 0; i < options.incoming_connections; ++i) {
    auto connection = TRY(open_connection(connector, options));
    if (auto sent = send_header(*connection, version, options, &id, true); !sent) return std::unexpected(std::move(sent).error());
    if (auto ready = await_init(*connection); !ready) return std::unexpected(std::move(ready).error());
    connection->set_timeout(kForever);
    if (auto started = core->start_serving(std::move(connection)); !started) return std::unexpected(std::move(started).error());
  }
  return session;
}

Session::~Session() {
  root_.reset();
  core_->abandon();
}

Reply<std::shared_ptr<Binder>> Session::root() {
  const std::lock_guard lock(root_mutex_);
  if (root_) return root_;
  Parcel reply;
  if (Status asked = core_->call(nullptr, wire::kGetRoot, Parcel(), &reply, 0); !asked.is_ok()) return std::unexpected(asked);
  auto root = reply.read_nullable_binder();
  if (root) root_ = *root;
  return root;
}

void Session::shutdown_and_wait() { core_->end_and_join("it was shut down here"); }
bool Session::is_alive() const { return core_->is_alive(); }
uint32_t Session::protocol_version() const { return core_->config().version; }

}  // namespace adyton::rpc
