#include "guest/init/vsock_listener.h"

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include <string>

#include "guest/exec_protocol.h"

namespace adyton::guest {
namespace {

constexpr int kBacklog = 64;

bool is_host(int connection) {
  sockaddr_vm peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.svm_cid == kHostCid;
}

}  // namespace

Result<Listener> listen_for_host(uint32_t port) {
  Listener listener{UniqueFd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0, is_host};
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  socklen_t size = sizeof address;
  if (!listener.socket.valid() || ::bind(listener.socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener.socket.get(), kBacklog) != 0 || ::getsockname(listener.socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return fail_errno("listening on the guest's vsock port " + std::to_string(port));
  }
  listener.port = address.svm_port;
  return listener;
}

}  // namespace adyton::guest
