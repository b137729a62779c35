#include <unistd.h>

#include <span>
#include <thread>

#include "bench/rpc/binder_service.h"
#include "bench/rpc/system.h"
#include "rpc/parcel.h"
#include "rpc/session.h"

namespace adyton::bench {

namespace {

using namespace rpc;

class BinderSystem final : public System {
 public:
  BinderSystem(std::shared_ptr<Session> session, UniqueFd echo) : session_(std::move(session)), echo_(std::move(echo)) {
    auto root = session_->root();
    if (!root) give_up(root.error().to_string());
    root_ = *root;
  }

  int32_t add(int32_t a, int32_t b) override {
    Parcel data, reply;
    data.write_interface_token(kCallsDescriptor);
    data.write_int32(a);
    data.write_int32(b);
    call(kAdd, data, reply);
    return reply.read_int32().value();
  }
  size_t take(const std::string& bytes) override {
    Parcel data, reply;
    data.write_interface_token(kCallsDescriptor);
    data.write_vector(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
    call(kTake, data, reply);
    return static_cast<size_t>(reply.read_int32().value());
  }
  size_t give(size_t size) override {
    Parcel data, reply;
    data.write_interface_token(kCallsDescriptor);
    data.write_int32(static_cast<int32_t>(size));
    call(kGive, data, reply);
    return reply.read_vector<uint8_t>().value().size();
  }

  std::optional<std::string> echo(const std::string& line) override {
    const std::string text = line + "\n";
    if (::write(echo_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) give_up("the stream is gone");
    std::string answer;
    char buffer[256];
    while (!answer.ends_with('\n')) {
      const ssize_t got = ::read(echo_.get(), buffer, sizeof(buffer));
      if (got <= 0) give_up("the stream is gone");
      answer.append(buffer, static_cast<size_t>(got));
    }
    answer.pop_back();
    return answer;
  }

 private:
  void call(uint32_t code, const Parcel& data, Parcel& reply) {
    if (Status status = root_->transact(code, data, &reply); !status.is_ok()) give_up(status.to_string());
    const auto status = reply.read_status();
    if (!status || !status->is_ok()) give_up("the service fails");
  }

  std::shared_ptr<Session> session_;
  UniqueFd echo_;
  std::shared_ptr<Binder> root_;
};

}  // namespace

void serve_binder(const std::string& socket_path) {
  serve_calls(UnixAddress{socket_path}, UnixAddress{socket_path + "-echo"}, /*with_descriptors=*/true);
}

std::unique_ptr<System> binder_over(const Connector& calls, const Connector& echo, FdPassing passing) {
  for (;;) {
    auto session =
        Session::connect(calls, {.outgoing_connections = kMaxThreads, .fd_passing = passing, .max_body_size = kMaxMessage});
    if (session) {
      auto stream = echo();
      if (!stream) give_up(stream.error().message);
      return std::make_unique<BinderSystem>(std::move(*session), std::move(*stream));
    }
    if (session.error().code != ErrorCode::kUnavailable) give_up(session.error().message);
    std::this_thread::yield();
  }
}

std::unique_ptr<System> connect_binder(const std::string& socket_path) {
  return binder_over(connector_to(UnixAddress{socket_path}), connector_to(UnixAddress{socket_path + "-echo"}), FdPassing::kUnix);
}

}  // namespace adyton::bench
