// One program for both ends of bench/vsock/run.
//
//   as the first process of a guest: the kernel's command line says vsock, serial or tcp (bench=NAME), how long (bench_ms=N), and
//                                              which rows (bench_rows=NAMES)
//   channel-bench local MS [ROWS]              both ends on this machine, over Unix socket pairs
//   channel-bench serve unix PATH | tcp PORT   the host's end
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "bench/vsock/channel.h"

namespace {

using namespace adyton::bench;

constexpr unsigned kPort = 5201;

std::string option(const std::string& name) {
  std::ifstream file("/proc/cmdline");
  for (std::string word; file >> word;) {
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  }
  return {};
}

void load_modules() {
  std::ifstream list("/modules/order");
  for (std::string name; list >> name;) {
    const int fd = ::open(("/modules/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ::syscall(SYS_finit_module, fd, "", 0) != 0) std::printf("note %s: %s\n", name.c_str(), std::strerror(errno));
    ::close(fd);
  }
}

int open_vsock() {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_HOST;
  address.svm_port = kPort;
  const int fd = ::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? fd : -1;
}

// The port appears when the kernel has spoken with the device about it.
int open_serial() {
  for (int i = 0; i < 1000; ++i) {
    const int fd = ::open("/dev/vport0p1", O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    ::usleep(10'000);
  }
  return -1;
}

bool set_address(const char* name, int request, const char* text) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq interface {};
  std::strncpy(interface.ifr_name, name, IFNAMSIZ - 1);
  if (text == nullptr) {
    interface.ifr_flags = IFF_UP | IFF_RUNNING;
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&interface.ifr_addr);
    address->sin_family = AF_INET;
    ::inet_pton(AF_INET, text, &address->sin_addr);
  }
  const bool good = ::ioctl(fd, static_cast<unsigned long>(request), &interface) == 0;
  ::close(fd);
  return good;
}

int open_tcp() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(option("bench_port").c_str())));
  ::inet_pton(AF_INET, "10.0.2.2", &address.sin_addr);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ? fd : -1;
}

[[noreturn]] void run_in_guest() {
  ::mount("proc", "/proc", "proc", 0, nullptr);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  load_modules();
  const std::string channel = option("bench");
  const double milliseconds = std::atof(option("bench_ms").c_str());
  const std::string rows = option("bench_rows");
  if (channel == "vsock") {
    measure(open_vsock, 64, milliseconds, rows);
  } else if (channel == "serial") {
    measure(open_serial, 1, milliseconds, rows);
  } else if (channel == "tcp") {
    if (!set_address("eth0", SIOCSIFADDR, "10.0.2.15") || !set_address("eth0", SIOCSIFNETMASK, "255.255.255.0") ||
        !set_address("eth0", SIOCSIFFLAGS, nullptr))
      std::printf("fail eth0 %s\n", std::strerror(errno));
    measure(open_tcp, 64, milliseconds, rows);
  }
  std::printf("guest-bench: done\n");
  std::fflush(stdout);
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}

int run_local(double milliseconds, const std::string& rows) {
  const auto open = [] {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      serve(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    return ends[0];
  };
  measure(open, 64, milliseconds, rows);
  std::printf("guest-bench: done\n");
  return 0;
}

int run_server(const std::string& family, const std::string& where) {
  int listener = -1;
  if (family == "unix") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, where.c_str(), sizeof(address.sun_path) - 1);
    listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return 1;
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(where.c_str())));
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return 1;
  }
  if (::listen(listener, 128) != 0) return 1;
  if (family == "tcp") {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("port %u\n", ntohs(address.sin_port));
  } else {
    std::printf("ready\n");
  }
  std::fflush(stdout);
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return 1;
    if (family == "tcp") {
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    std::thread([fd] {
      serve(fd);
      ::close(fd);
    }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (::getpid() == 1) run_in_guest();
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "local" && (argc == 3 || argc == 4)) return run_local(std::atof(argv[2]), argc == 4 ? argv[3] : "");
  if (mode == "serve" && argc == 4) return run_server(argv[2], argv[3]);
  std::fprintf(stderr, "usage: channel-bench local MILLISECONDS [ROWS] | serve unix PATH | serve tcp PORT\n");
  return 2;
}
