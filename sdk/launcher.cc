#include "sdk/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "base/unique_fd.h"
#include "sdk/installation.h"
#include "service/interface.h"

namespace adyton::sdk {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = "adytond";
constexpr int kReadyFd = 3;
constexpr int kAttempts = 3;
constexpr int kPauseMilliseconds = 50;
constexpr size_t kQuotedLog = 1000;  // bytes of the service's last words in an error message

std::string socket_path(const std::string& directory) { return directory + "/" + service::kSocketName; }

Result<std::shared_ptr<rpc::Session>> open_session(const std::string& directory) {
  rpc::SessionOptions options;
  // A call that waits (stop(), say) must not keep others waiting.
  options.outgoing_connections = 4;
  // One, so that what the service says arrives in the order that it says it.
  options.incoming_connections = 1;
  options.fd_passing = rpc::FdPassing::kUnix;
  options.max_body_size = service::kMaxRpcBody;
  return rpc::Session::connect(rpc::UnixAddress{socket_path(directory)}, options);
}

// The folder has the socket of a service that gets our files: it must be ours, and nobody else's. False: there is none.
Result<bool> check_private_directory(const std::string& directory) {
  struct stat status{};
  if (::lstat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno(fmt::format("cannot use the virtualization service's folder '{}'", directory));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return fail(ErrorCode::kPermission, fmt::format("'{}' is no folder that only this user may enter; remove it, or name another "
                                                    "one in ADYTON_RUNTIME_DIR",
                                                    directory));
  }
  return true;
}

Result<void> make_private_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("cannot make the folder '{}' for the virtualization service's socket", directory));
  }
  TRY(check_private_directory(directory));
  return {};
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

// One program starts the service, others wait for that.
Result<UniqueFd> lock_start(const std::string& directory, Clock::time_point deadline) {
  const std::string path = directory + "/start.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return fail_errno("cannot open " + path);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("cannot lock " + path);
    if (Clock::now() >= deadline) {
      return fail(ErrorCode::kUnavailable, "another program has been starting the virtualization service for too long");
    }
    ::poll(nullptr, 0, 2);
  }
  return lock;
}

std::string last_words(int log) {
  std::string text(kQuotedLog, '\0');
  struct stat status{};
  if (::fstat(log, &status) != 0) return {};
  const off_t from = std::max<off_t>(0, status.st_size - static_cast<off_t>(kQuotedLog));
  const ssize_t got = ::pread(log, text.data(), text.size(), from);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

// Starts `program` as nobody's child in a session of its own: it outlives us. Between fork and exec nothing may allocate.
Result<void> spawn(const std::string& program, const std::string& directory, int ready, int log) {
  std::string option_name = "--ready-fd";
  std::string option_value = std::to_string(kReadyFd);
  std::string name = kProgram;
  const std::array<char*, 4> argv = {name.data(), option_name.data(), option_value.data(), nullptr};
  std::vector<std::string> environment = service_environment(environ, directory);
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return fail_errno("cannot open /dev/null");
  // Out of the way of the numbers that they get.
  const UniqueFd high_ready(::fcntl(ready, F_DUPFD_CLOEXEC, 10));
  const UniqueFd high_log(::fcntl(log, F_DUPFD_CLOEXEC, 10));
  const UniqueFd high_null(::fcntl(null.get(), F_DUPFD_CLOEXEC, 10));
  if (!high_ready.valid() || !high_log.valid() || !high_null.valid()) return fail_errno("cannot start " + program);

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::dup2(high_null.get(), 0);
    ::dup2(high_null.get(), 1);
    ::dup2(high_log.get(), 2);
    ::dup2(high_ready.get(), kReadyFd);
    ::syscall(SYS_close_range, kReadyFd + 1, ~0U, 0);
    (void)!::chdir("/");
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return fail_errno("cannot start " + program, fork_error);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
  return {};
}

Result<void> start_service(const std::string& directory, Clock::time_point deadline) {
  const std::string program = TRY(find_program(kProgram, "ADYTON_ADYTOND"));
  const std::string log_path = directory + "/adytond.log";
  const UniqueFd log(::open(log_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log.valid()) return fail_errno("cannot open " + log_path);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot start " + program);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  TRY(spawn(program, directory, writer.get(), log.get()));
  writer.reset();
  pollfd ready{.fd = reader.get(), .events = POLLIN, .revents = 0};
  int polled = 0;
  do { polled = ::poll(&ready, 1, milliseconds_until(deadline)); } while (polled < 0 && errno == EINTR);
  if (polled == 0) return fail(ErrorCode::kUnavailable, fmt::format("{} was started, but was not ready in time", program));
  char byte = 0;
  if (::read(reader.get(), &byte, 1) == 1 && byte == service::kReadyByte) return {};
  const std::string words = last_words(log.get());
  return fail(ErrorCode::kUnavailable, fmt::format("the virtualization service {} ended before it was ready{}{}", program,
                                                   words.empty() ? "" : ": ", words));
}

}  // namespace

std::string runtime_directory(const ManagerOptions& options) {
  if (!options.runtime_directory.empty()) return options.runtime_directory;
  if (const char* given = std::getenv("ADYTON_RUNTIME_DIR"); given != nullptr && *given == '/') return given;
  if (const char* base = std::getenv("XDG_RUNTIME_DIR"); base != nullptr && *base == '/') return fmt::format("{}/adyton", base);
  return fmt::format("/tmp/adyton-{}", ::geteuid());
}

std::vector<std::string> service_environment(const char* const* environment, const std::string& directory) {
  constexpr std::string_view kNames[] = {"HOME", "PATH", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH"};
  constexpr std::string_view kBeginnings[] = {"ADYTON_", "XDG_", "LC_", "ASAN_", "TSAN_", "UBSAN_", "LSAN_"};
  constexpr std::string_view kDirectory = "ADYTON_RUNTIME_DIR";
  std::vector<std::string> kept = {fmt::format("{}={}", kDirectory, directory)};
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const std::string_view name = entry.substr(0, entry.find('='));
    const bool wanted = std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) ||
                        std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                                    [&](std::string_view beginning) { return name.starts_with(beginning); });
    if (wanted && name != kDirectory) kept.emplace_back(entry);
  }
  return kept;
}

Result<std::shared_ptr<rpc::Session>> connect_to_service(const ManagerOptions& options) {
  const std::string directory = runtime_directory(options);
  if (TRY(check_private_directory(directory))) {
    if (auto session = open_session(directory)) return session;
  }
  if (!options.start_service) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the virtualization service does not run (nobody answers at {})", socket_path(directory)));
  }
  const auto deadline = Clock::now() + options.start_timeout;
  TRY(make_private_directory(directory));
  const UniqueFd lock = TRY(lock_start(directory, deadline));
  Error last;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Somebody else was faster, or we are at the second attempt, as one that ended of idleness had not let go of its lock yet.
    if (auto session = open_session(directory)) return session;
    if (attempt > 0) ::poll(nullptr, 0, kPauseMilliseconds);
    if (auto started = start_service(directory, deadline); !started) {
      if (started.error().code != ErrorCode::kUnavailable) return std::unexpected(std::move(started).error());
      last = std::move(started).error();
      continue;
    }
    auto session = open_session(directory);
    if (session) return session;
    last = {session.error().code, fmt::format("the virtualization service was started, but cannot be reached at {}: {}",
                                              socket_path(directory), session.error().message)};
  }
  return std::unexpected(std::move(last));
}

}  // namespace adyton::sdk
