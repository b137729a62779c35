#include "bench/rpc/binder_service.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bench/rpc/system.h"
#include "rpc/parcel.h"
#include "rpc/server.h"

namespace adyton::bench {
namespace {

using namespace rpc;

// What the AIDL compiler would write, by hand.
class Service final : public LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(kCallsDescriptor); }
  Status on_transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t) override {
    if (Status token = data.check_interface_token(kCallsDescriptor); !token.is_ok()) return token;
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

// Answers each line with the line from its end to its begin.
void echo_lines(int stream) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(stream, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      std::string answer(text.rend() - static_cast<ptrdiff_t>(end), text.rend());
      answer += '\n';
      if (::write(stream, answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) return;
    }
  }
}

UniqueFd listen_at(const Endpoint& endpoint) {
  auto socket = listen_on(endpoint);
  if (!socket) give_up(socket.error().message);
  ::listen(socket->get(), 8);
  return std::move(*socket);
}

}  // namespace

void serve_calls(const Endpoint& calls, const Endpoint& echo, bool with_descriptors) {
  const UniqueFd echo_socket = listen_at(echo);
  Server server({.max_threads = kMaxThreads, .allow_fds = with_descriptors, .max_body_size = kMaxMessage});
  server.set_root(std::make_shared<Service>());
  if (auto served = server.serve(listen_at(calls)); !served) give_up(served.error().message);
  for (;;) {
    UniqueFd stream(::accept4(echo_socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!stream.valid()) give_up("cannot take a stream");
    std::thread([stream = std::move(stream)] { echo_lines(stream.get()); }).detach();
  }
}

}  // namespace adyton::bench
