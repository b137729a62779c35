#include "service/runtime_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <thread>

namespace adyton::service {
namespace {

constexpr int kFirstSystemdFd = 3;  // SD_LISTEN_FDS_START
constexpr int kBacklog = 64;
constexpr const char* kHidden = ".new";
constexpr std::string_view kVmSocketBegin = "vm-";
constexpr std::string_view kVmSocketEnd = ".vsock";
constexpr auto kEndPatience = std::chrono::seconds(5);

const char* absolute(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && value[0] == '/' ? value : nullptr;
}

Result<UniqueFd> take_lock(const std::string& directory) {
  const std::string path = fmt::format("{}/{}", directory, kLockName);
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return fail_errno("cannot open " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(ErrorCode::kUnavailable, "another adytond serves " + directory);
    return fail_errno("cannot lock " + path);
  }
  return lock;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the path {} is too long for a socket; {} can name a shorter one", path, kRuntimeDirVariable));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool somebody_listens(const std::string& path) {
  const auto address = address_of(path);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return address && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0;
}

// A service that ends for want of work has hidden its socket and lets go of the lock in a moment.
Result<UniqueFd> wait_for_lock(const std::string& directory, const std::string& socket) {
  const auto deadline = std::chrono::steady_clock::now() + kEndPatience;
  for (;;) {
    auto lock = take_lock(directory);
    if (lock || lock.error().code != ErrorCode::kUnavailable) return lock;
    if (std::chrono::steady_clock::now() >= deadline || somebody_listens(socket)) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::optional<int> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0') return std::nullopt;
  return value;
}

}  // namespace

std::string vm_socket_path(const std::string& directory, uint32_t cid) {
  return fmt::format("{}/{}{}{}", directory, kVmSocketBegin, cid, kVmSocketEnd);
}

void remove_stale_vm_sockets(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;  // what cannot be removed is replaced when its number comes up
    if (name.starts_with(kVmSocketBegin) && name.ends_with(kVmSocketEnd) && entry->is_socket(ignored))
      std::filesystem::remove(entry->path(), ignored);
  }
}

Result<void> make_private_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("cannot make the folder " + path);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return fail_errno("cannot use the folder " + path);
  if (status.st_uid != ::geteuid()) return fail(ErrorCode::kPermission, fmt::format("the folder {} is another user's", path));
  if ((status.st_mode & 0077) != 0) {
    return fail(ErrorCode::kPermission, fmt::format("others may use the folder {}; close it with: chmod 700 {}", path, path));
  }
  return {};
}

Result<std::string> runtime_directory() {
  std::string path;
  if (const char* own = absolute(kRuntimeDirVariable)) {
    path = own;
  } else if (const char* xdg = absolute("XDG_RUNTIME_DIR")) {
    path = fmt::format("{}/adyton", xdg);
  } else {
    path = fmt::format("/tmp/adyton-{}", ::geteuid());
  }
  TRY(make_private_directory(path));
  return path;
}

Result<ServiceSocket> ServiceSocket::listen(const std::string& directory) {
  std::string path = fmt::format("{}/{}", directory, kSocketName);
  // We hold the lock: whatever stands there was left by a service that was killed. Bound beside it, and put in its place when it
  // listens, so that a client finds either nobody or somebody who answers.
  const std::string fresh = path + kHidden;
  const sockaddr_un beside = TRY(address_of(fresh));
  UniqueFd lock = TRY(wait_for_lock(directory, path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno("cannot make a socket");
  ::unlink(fresh.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&beside), sizeof(beside)) != 0)
    return fail_errno("cannot bind " + fresh);
  if (::listen(fd.get(), kBacklog) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    auto error = fail_errno("cannot listen on " + path);
    ::unlink(fresh.c_str());
    return error;
  }
  return ServiceSocket(std::move(fd), std::move(lock), std::move(path));
}

Result<std::optional<ServiceSocket>> ServiceSocket::from_systemd(const std::string& directory) {
  const auto pid = number_in("LISTEN_PID");
  const auto count = number_in("LISTEN_FDS");
  // Not for our children.
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  if (pid != ::getpid() || !count || *count < 1) return std::nullopt;
  if (*count != 1) return fail(ErrorCode::kInvalidArgument, fmt::format("systemd passed {} sockets, not one", *count));
  UniqueFd fd(kFirstSystemdFd);
  int accepting = 0;
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || accepting == 0 || domain != AF_UNIX ||
      type != SOCK_STREAM) {
    return fail(ErrorCode::kInvalidArgument, "what systemd passed is not a listening Unix stream socket");
  }
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  UniqueFd lock = TRY(wait_for_lock(directory, {}));
  return ServiceSocket(std::move(fd), std::move(lock), {});
}

ServiceSocket::~ServiceSocket() { remove(); }

void ServiceSocket::hide() {
  if (!path_.empty()) ::rename(path_.c_str(), (path_ + kHidden).c_str());
}

void ServiceSocket::show() {
  if (!path_.empty()) ::rename((path_ + kHidden).c_str(), path_.c_str());
}

void ServiceSocket::remove() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  ::unlink((path_ + kHidden).c_str());
  path_.clear();
}

}  // namespace adyton::service
