// The program `adyton-vmm`: one VM, driven over the control socket that it is started with. It has no options and opens no files;
// its life ends with the VM, with the socket's other end, or with the process that started it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>

#include "vmm/control/server.h"
#include "vmm/controlled_vm.h"

namespace adyton::vmm {
namespace {

bool is_control_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

int serve() {
  if (!is_control_socket(control::kControlFd)) {
    fmt::print(stderr, "adyton-vmm: this program is started by adyton, with a control socket; see 'adyton run --help'\n");
    return 2;
  }
  // The socket's end says the same, but only to a thread that reads it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd socket(control::kControlFd);
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  MachineFactory factory;
  control::Server server(control::Socket(std::move(socket)), factory);
  if (auto served = server.run(); !served) {
    fmt::print(stderr, "adyton-vmm: {}\n", served.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace adyton::vmm

int main() { return adyton::vmm::serve(); }
