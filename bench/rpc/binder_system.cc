#include <unistd.h>

#include <span>
#include <thread>
#include <vector>

#include "bench/rpc/system.h"
#include "rpc/parcel.h"
#include "rpc/server.h"
#include "rpc/session.h"

namespace adyton::bench {

namespace {

using namespace rpc;

constexpr std::string_view kDescriptor = "adyton.bench.ICalls";
enum Code : uint32_t { kAdd = kFirstCall, kTake, kGive };

// What the AIDL compiler would write, by hand.
class Service final : public LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(kDescriptor); }
  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
    if (Status token = data.check_interface_token(kDescriptor); !token.is_ok()) return token;
    switch (code) {
      case kAdd: {
        const auto a = data.read_int32();
        const auto b = data.read_int32();
        if (!a || !b) return Status::from_transport(TransportError::kNotEnoughData);
        static_cast<void>(reply->write_status(Status::ok()));
        reply->write_int32(*a + *b);
        return Status::ok();
      }
      case kTake: {
        const auto bytes = data.read_vector<uint8_t>();
        if (!bytes) return bytes.error();
        static_cast<void>(reply->write_status(Status::ok()));
        reply->write_int32(static_cast<int32_t>(bytes->size()));
        return Status::ok();
      }
      case kGive: {
        const auto size = data.read_int32();
        if (!size) return size.error();
        const std::vector<uint8_t> bytes(static_cast<size_t>(*size), 'x');
        static_cast<void>(reply->write_status(Status::ok()));
        reply->write_vector(std::span(bytes));
        return Status::ok();
      }
      default: return Status::from_transport(TransportError::kUnknownTransaction);
    }
  }
};

class BinderSystem final : public System {
 public:
  explicit BinderSystem(std::shared_ptr<Session> session) : session_(std::move(session)) {
    auto root = session_->root();
    if (!root) give_up(root.error().to_string());
    root_ = *root;
  }

  int32_t add(int32_t a, int32_t b) override {
    Parcel data, reply;
    data.write_interface_token(kDescriptor);
    data.write_int32(a);
    data.write_int32(b);
    call(kAdd, data, reply);
    return reply.read_int32().value();
  }
  size_t take(const std::string& bytes) override {
    Parcel data, reply;
    data.write_interface_token(kDescriptor);
    data.write_vector(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
    call(kTake, data, reply);
    return static_cast<size_t>(reply.read_int32().value());
  }
  size_t give(size_t size) override {
    Parcel data, reply;
    data.write_interface_token(kDescriptor);
    data.write_int32(static_cast<int32_t>(size));
    call(kGive, data, reply);
    return reply.read_vector<uint8_t>().value().size();
  }

 private:
  void call(uint32_t code, const Parcel& data, Parcel& reply) {
    if (Status status = root_->transact(code, data, &reply); !status.is_ok()) give_up(status.to_string());
    const auto status = reply.read_status();
    if (!status || !status->is_ok()) give_up("the service fails");
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<Binder> root_;
};

}  // namespace

void serve_binder(const std::string& socket_path) {
  Server server({.max_threads = kMaxThreads, .allow_fds = true, .max_body_size = kMaxMessage});
  server.set_root(std::make_shared<Service>());
  auto socket = listen_on(UnixAddress{socket_path});
  if (!socket) give_up(socket.error().message);
  if (auto served = server.serve(std::move(*socket)); !served) give_up(served.error().message);
  for (;;) ::pause();
}

std::unique_ptr<System> connect_binder(const std::string& socket_path) {
  for (;;) {
    auto session =
        Session::connect(UnixAddress{socket_path},
                         {.outgoing_connections = kMaxThreads, .fd_passing = FdPassing::kUnix, .max_body_size = kMaxMessage});
    if (session) return std::make_unique<BinderSystem>(std::move(*session));
    if (session.error().code != ErrorCode::kUnavailable) give_up(session.error().message);
    std::this_thread::yield();
  }
}

}  // namespace adyton::bench
