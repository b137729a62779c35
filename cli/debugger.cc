#include "cli/debugger.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "cli/message.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {
namespace {

constexpr std::string_view kUnix = "unix:";

std::unexpected<Error> bad(const std::string& address, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("cannot listen for a debugger on '{}': {}", address, why));
}

// Nobody listens there any more.
bool stale(const sockaddr_un& address, socklen_t size) {
  struct stat status{};
  if (::lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.valid() && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno == ECONNREFUSED;
}

Result<UniqueFd> listen_unix(const std::string& whole, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) return bad(whole, "the path is missing");
  if (path.size() >= sizeof(address.sun_path)) return bad(whole, "the path is longer than a socket's may be");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const socklen_t size = sizeof(address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot make a socket");
  if (stale(address, size)) ::unlink(path.c_str());
  const mode_t before = ::umask(0177);  // ours alone
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size);
  const int error = errno;
  ::umask(before);
  if (bound != 0) return bad(whole, ::strerror(error));
  return fd;
}

struct Loopback {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string host;  // as gdb takes it
};

std::optional<Loopback> loopback(std::string_view host, uint16_t port) {
  Loopback result;
  if (host.empty() || host == "localhost") host = "127.0.0.1";
  if (host == "[::1]" || host == "::1") {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(result.address);
    in6.sin6_family = AF_INET6;
    in6.sin6_addr = in6addr_loopback;
    in6.sin6_port = htons(port);
    result.size = sizeof(sockaddr_in6);
    result.host = "[::1]";
    return result;
  }
  auto& in = reinterpret_cast<sockaddr_in&>(result.address);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  result.size = sizeof(sockaddr_in);
  result.host = host;
  if (::inet_pton(AF_INET, result.host.c_str(), &in.sin_addr) != 1 || (ntohl(in.sin_addr.s_addr) >> 24) != 127) return std::nullopt;
  return result;
}

Result<std::pair<UniqueFd, std::string>> listen_tcp(const std::string& whole, std::string_view host, std::string_view port_text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) return bad(whole, "the port is no number up to 65535");
  auto where = loopback(host, port);
  if (!where) return bad(whole, "whoever connects owns the guest, so it must be this machine: localhost, 127.x.x.x or [::1]; 'ssh -L' leads there from afar");
  UniqueFd fd(::socket(where->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot make a socket");
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where->address), where->size) != 0) return bad(whole, ::strerror(errno));
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&where->address), &where->size) != 0) return fail_errno("cannot tell the debugger's port");
  // The port is at the same place in both kinds of address.
  port = ntohs(reinterpret_cast<const sockaddr_in&>(where->address).sin_port);
  return std::pair(std::move(fd), fmt::format("{}:{}", where->host, port));
}

}  // namespace

DebugListener::DebugListener(UniqueFd fd, std::string path, std::string target)
    : fd_(std::move(fd)), path_(std::move(path)), target_(std::move(target)) {}
DebugListener::DebugListener(DebugListener&& other) noexcept
    : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})), target_(std::move(other.target_)) {}

DebugListener::~DebugListener() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<DebugListener> DebugListener::open(const std::string& address) {
  UniqueFd fd;
  std::string path, target;
  if (address.starts_with(kUnix)) {
    path = address.substr(kUnix.size());
    fd = TRY(listen_unix(address, path));
    target = path;
  } else {
    const size_t colon = address.rfind(':');
    if (colon == std::string::npos) return bad(address, "it is neither unix:PATH nor [HOST]:PORT");
    std::tie(fd, target) = TRY(listen_tcp(address, std::string_view(address).substr(0, colon), std::string_view(address).substr(colon + 1)));
  }
  DebugListener listener(std::move(fd), std::move(path), std::move(target));
  if (::listen(listener.fd_.get(), 1) != 0) return bad(address, ::strerror(errno));
  return listener;
}

int debug(const DebugOptions& options) {
  const auto attach = [&]() -> Result<void> {
    auto listener = TRY(DebugListener::open(options.address));
    const auto manager = TRY(connect_to_service());
    const auto vm = TRY(find_vm(*manager, options.name));
    TRY(vm->attachDebugger(listener.take()));
    listener.keep();
    fmt::print("target remote {}\n", listener.target());
    return {};
  };
  if (const auto attached = attach(); !attached) {
    say(attached.error().message);
    return guest::kExitError;
  }
  return 0;
}

}  // namespace adyton::cli
