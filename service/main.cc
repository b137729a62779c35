// The program `adytond`: the virtualization service of one user.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "base/log/logger.h"
#include "base/log/sinks.h"
#include "service/daemon.h"
#include "service/vmm_process.h"

namespace adyton::service {
namespace {

// What the program that started us had open is not for us to keep open.
void close_inherited(std::optional<int> ready_fd) {
  if (std::getenv("LISTEN_FDS") != nullptr) return;
  if (ready_fd && *ready_fd > 2) {
    if (*ready_fd > 3) ::close_range(3, static_cast<unsigned>(*ready_fd) - 1, 0);
    ::close_range(static_cast<unsigned>(*ready_fd) + 1, ~0U, 0);
  } else {
    ::close_range(3, ~0U, 0);
  }
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Threads come and go with sessions, and allocate little at a time: an arena for each would keep what all have ever used. Large
// buffers (a VM's logs) go back to the system with their VM.
void keep_little_memory() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 64 << 10);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

// The file that programs give a service that they start (sdk/launcher.cc) is ours to keep small.
constexpr uint64_t kLargestLog = uint64_t{4} << 20;

Result<void> start_log(log::Options options) {
  options.identifier = "adytond";
  if (const char* socket = std::getenv("ADYTON_JOURNAL_SOCKET"); socket != nullptr && *socket == '/')
    options.journal_socket = socket;
  struct stat ours{};
  struct stat there{};
  if (const auto folder = runtime_directory(); folder && ::fstat(STDERR_FILENO, &ours) == 0) {
    const std::string path = *folder + "/adytond.log";
    if (::lstat(path.c_str(), &there) == 0 && S_ISREG(there.st_mode) && ours.st_dev == there.st_dev &&
        ours.st_ino == there.st_ino)
      options.rotation = log::StreamSink::Rotation{.path = path, .limit = kLargestLog};
  }
  return log::start(std::move(options));
}

Result<UniqueFd> take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&set, signal);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return fail(ErrorCode::kInternal, "cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot receive signals");
  return fd;
}

void say_ready(UniqueFd ready) {
  if (ready.valid()) (void)!::write(ready.get(), &kReadyByte, 1);
}

Result<void> serve(Settings settings) {
  UniqueFd ready(settings.ready_fd.value_or(-1));
  if (ready.valid()) ::fcntl(ready.get(), F_SETFD, FD_CLOEXEC);
  const UniqueFd signals = TRY(take_signals());
  DaemonConfig config;
  config.settings = settings;
  config.version = ADYTON_VERSION;
  config.vmm_program = settings.vmm ? *settings.vmm : TRY(find_vmm());
  config.runtime_directory = TRY(runtime_directory());
  config.data_directory = TRY(RecordStore::default_directory());
  auto socket = TRY(ServiceSocket::from_systemd(config.runtime_directory));
  if (!socket) {
    auto listening = ServiceSocket::listen(config.runtime_directory);
    // Who started us finds the service all the same.
    if (!listening && listening.error().code == ErrorCode::kUnavailable) say_ready(std::move(ready));
    socket.emplace(TRY(std::move(listening)));
  }
  const auto daemon = TRY(Daemon::start(std::move(config), std::move(*socket)));
  say_ready(std::move(ready));
  return daemon->run(signals.get());
}

int run(int argc, char** argv) {
  auto settings = load_settings({argv + 1, static_cast<size_t>(argc - 1)});
  if (!settings) {
    fmt::print(stderr, "adytond: {}\n", settings.error().message);
    return 2;
  }
  if (settings->help) {
    fmt::print("{}", usage_text());
    return 0;
  }
  if (settings->version) {
    fmt::print("adytond {}\n", ADYTON_VERSION);
    return 0;
  }
  keep_little_memory();
  close_inherited(settings->ready_fd);
  raise_descriptor_limit();
  ::umask(077);
  (void)!::chdir("/");
  for (const int signal : {SIGPIPE, SIGHUP}) ::signal(signal, SIG_IGN);
  if (auto started = start_log(settings->log); !started) {
    fmt::print(stderr, "adytond: {}\n", started.error().message);
    return 1;
  }
  if (auto served = serve(std::move(*settings)); !served) {
    fmt::print(stderr, "adytond: {}\n", served.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace adyton::service

int main(int argc, char** argv) { return adyton::service::run(argc, argv); }
