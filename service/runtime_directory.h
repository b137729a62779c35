// Where the service is found: a folder of the user's own, with the socket, and a lock that one service at a time holds.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/interface.h"

namespace adyton::service {

inline constexpr const char* kLockName = "adytond.lock";
inline constexpr const char* kMetricsSocketName = "metrics.sock";

// ADYTON_RUNTIME_DIR, or $XDG_RUNTIME_DIR/adyton, or /tmp/adyton-UID. Made (0700) when missing. kPermission unless it is a real
// folder, ours, and closed to others.
Result<std::string> runtime_directory();

// The same check for any folder; its parent exists.
Result<void> make_private_directory(const std::string& path);

// Where a VM that names no place has the socket of its vsock ports. A service that was killed leaves them behind; who holds the
// folder's lock removes them before it has VMs of its own.
std::string vm_socket_path(const std::string& directory, uint32_t cid);
void remove_stale_vm_sockets(const std::string& directory);

// The socket that clients connect to, held by one service in a folder at a time. The socket goes with the object; the lock file
// stays.
class ServiceSocket {
 public:
  // kUnavailable: another service is there. One that is about to end is waited for, some seconds.
  static Result<ServiceSocket> listen(const std::string& directory);
  // A listening Unix socket from systemd (LISTEN_FDS, LISTEN_PID; sd_listen_fds(3)), if this process was given exactly one; it
  // stays where it is when we end, and the lock is taken all the same.
  static Result<std::optional<ServiceSocket>> from_systemd(const std::string& directory);

  ServiceSocket(ServiceSocket&&) noexcept = default;
  ServiceSocket& operator=(ServiceSocket&&) = delete;
  ~ServiceSocket();

  // Non-blocking. Taken once by who serves it.
  [[nodiscard]] UniqueFd take() { return std::move(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Nobody finds this service until show(). Connections that wait to be accepted stay. Nothing for systemd's.
  void hide();
  void show();
  void remove();

 private:
  ServiceSocket(UniqueFd fd, UniqueFd lock, std::string path)
      : fd_(std::move(fd)), lock_(std::move(lock)), path_(std::move(path)) {}

  UniqueFd fd_;
  UniqueFd lock_;
  std::string path_;  // empty: not ours to remove
};

}  // namespace adyton::service
