#include "guest/init/vsock_client.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <time.h>

#include <cerrno>
#include <string>

#include "guest/exec_protocol.h"

namespace adyton::guest {
namespace {

int64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

// The kernel multicasts an event to group 1 whenever a device or driver appears.
UniqueFd open_uevents() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (fd.valid() && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

Result<UniqueFd> try_connect(uint32_t port, int& error) {
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    error = errno;
    return fail_errno("opening a vsock socket", error);
  }
  // What the host may have in flight towards us; the default is 256 KiB.
  const uint64_t buffer_size = uint64_t{1} << 20;
  ::setsockopt(fd.get(), AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &buffer_size, sizeof buffer_size);
  ::setsockopt(fd.get(), AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &buffer_size, sizeof buffer_size);
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = kHostCid;
  address.svm_port = port;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    return fail_errno("connecting to the host's vsock port " + std::to_string(port), error);
  }
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    error = errno;
    return fail_errno("making a vsock connection non-blocking", error);
  }
  return fd;
}

}  // namespace

Result<UniqueFd> connect_to_host(uint32_t port, int device_wait_ms) {
  const int64_t deadline = now_ms() + device_wait_ms;
  const UniqueFd events = device_wait_ms > 0 ? open_uevents() : UniqueFd();
  for (;;) {
    int error = 0;
    auto connection = try_connect(port, error);
    const int64_t left = deadline - now_ms();
    // No transport or no address yet: the device is not there.
    if (connection || (error != ENODEV && error != EADDRNOTAVAIL && error != EAFNOSUPPORT) || left <= 0) return connection;
    pollfd waiting{events.get(), POLLIN, 0};
    // Some states change without an event, so look again after a while.
    ::poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 100)));
    char discard[4096];
    while (events.valid() && ::recv(events.get(), discard, sizeof discard, MSG_DONTWAIT) > 0) continue;
  }
}

}  // namespace adyton::guest
