// The Unix socket by which programs of the host reach one VM's vsock ports, in the text protocol that Firecracker, Cloud
// Hypervisor and OpenVMM share (docs/vsock.md): a client connects to PATH and names a port in one line; a connection that the
// guest makes to port P of the host goes to whoever listens on PATH_P.
//
// For whoever owns the VM: the service, or the CLI. The sandboxed VMM, which opens no path, gets connected sockets; this class
// reads a client's first line, and never a byte beyond it.
//
// Only programs of the same user are served. A client that says nothing is closed after kLineTimeout; while kMaxClients are
// reading-in, further ones wait in the socket's backlog. Threading: one thread at a time. Nothing blocks.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/hybrid/connect_line.h"

namespace adyton::vmm::hybrid {

inline constexpr size_t kMaxPath = 96;  // bytes: sockaddr_un's 107, less "_4294967295"

class HybridSocket {
 public:
  static constexpr size_t kMaxClients = 64;
  static constexpr std::chrono::milliseconds kLineTimeout{5'000};
  using Clock = std::chrono::steady_clock;
  // A client that wants `port`. It gets nothing but the guest's answer.
  using Connect = std::function<void(uint32_t port, UniqueFd client)>;

  // Listens on `path`, for this user only (0600). A socket there that nobody listens on any more is replaced; anything else is
  // kUnavailable. kInvalidArgument: the path is too long.
  static Result<std::unique_ptr<HybridSocket>> listen(const std::string& path, Connect connect);
  ~HybridSocket();  // removes the path, if it is still ours
  HybridSocket(const HybridSocket&) = delete;
  HybridSocket& operator=(const HybridSocket&) = delete;

  // Readable when step() has something to do.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  void step();
  [[nodiscard]] const std::string& path() const { return path_; }

  // A socket that is connected to PATH_`port`. kNotFound: nobody listens there; kUnavailable: nobody who takes it now;
  // kPermission: it is another user's.
  [[nodiscard]] Result<UniqueFd> dial(uint32_t port, bool seqpacket) const;

 private:
  struct Client {
    UniqueFd socket;
    ConnectLine line;
    Clock::time_point deadline;
  };
  using Clients = std::list<Client>;

  HybridSocket(std::string path, Connect connect) : path_(std::move(path)), connect_(std::move(connect)) {}
  Result<void> open();
  void accept_clients();
  void read(Clients::iterator client);
  void drop_slow();
  void drop(Clients::iterator client);
  void arm_timer();
  void listen_for_clients(bool wanted);

  const std::string path_;
  const Connect connect_;
  UniqueFd epoll_;
  UniqueFd listener_;
  UniqueFd timer_;
  bool listening_ = false;
  bool starved_ = false;  // of descriptors, until the timer
  uint64_t device_ = 0, inode_ = 0;  // of our socket's file
  Clients clients_;                  // by deadline
};

}  // namespace adyton::vmm::hybrid
