// The part of Vm that is about the Unix socket of its vsock ports: programs that connect there, and connections of the guest to
// ports that no client listens on.
#include <fmt/format.h>
#include <sys/epoll.h>

#include "service/vm.h"

namespace adyton::service {

using namespace vmm::control;

Outcome<> Vm::open_vsock_socket() {
  if (spec_.vsock_path.empty()) return {};
  auto opened = vmm::hybrid::HybridSocket::listen(spec_.vsock_path, [weak = weak_from_this()](uint32_t port, UniqueFd client) {
    if (const auto self = weak.lock()) self->on_vsock_client(port, std::move(client));
  });
  if (!opened) return spec_.vsock_required ? Outcome<>(std::unexpected(Failure(opened.error()))) : Outcome<>();
  vsock_socket_ = std::move(*opened);
  vsock_watch_ = Watch(loop_, TRY(loop_.watch(vsock_socket_->fd(), EPOLLIN, [weak = weak_from_this()](uint32_t) {
                         if (const auto self = weak.lock(); self && self->vsock_socket_) self->vsock_socket_->step();
                       })));
  spec_.machine.ask_about_ports = true;
  return {};
}

// The VMM answers the client; one that cannot be handed over is closed, which says the same as a guest that refuses.
void Vm::on_vsock_client(uint32_t port, UniqueFd client) {
  if (phase_ != Phase::kRunning) return;
  const int fd = client.get();
  (void)send(Connect{.port = port, .type = VsockType::kStream, .socket = 0}, std::span(&fd, 1));
}

// An answer that cannot be sent is a refusal, too, once the VMM has waited for it.
void Vm::on_asked(const Asked& asked) {
  if (phase_ != Phase::kRunning && phase_ != Phase::kStarting) return;
  auto socket = vsock_socket_ ? vsock_socket_->dial(asked.port, asked.type == VsockType::kSeqpacket)
                              : fail(ErrorCode::kNotFound, "nobody listens");
  if (!socket) {
    (void)send(Answer{.question = asked.question, .socket = {}});
    return;
  }
  const int fd = socket->get();
  (void)send(Answer{.question = asked.question, .socket = 0}, std::span(&fd, 1));
}

}  // namespace adyton::service
