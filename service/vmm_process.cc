#include "service/vmm_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "vmm/control/launch.h"

namespace adyton::service {
namespace {

// That of this process, but for the log: its lines come to us, at our level.
std::vector<std::string> vmm_environment() {
  std::vector<std::string> entries = {fmt::format("ADYTON_LOG={}", to_string(log::level())), "ADYTON_LOG_FORMAT=json"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("ADYTON_LOG") && !text.starts_with("JOURNAL_STREAM=")) entries.emplace_back(text);
  }
  return entries;
}

std::chrono::milliseconds milliseconds(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::milliseconds(time.tv_usec / 1000);
}

ProcessExit wait_for(pid_t pid) {
  int status = 0;
  rusage usage{};
  pid_t done = -1;
  do { done = ::wait4(pid, &status, 0, &usage); } while (done < 0 && errno == EINTR);
  ProcessExit exit;
  if (done < 0) return exit;
  exit.signalled = WIFSIGNALED(status);
  exit.value = exit.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  exit.usage.cpu_time = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
  exit.usage.peak_resident = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  return exit;
}

std::string read_proc(pid_t pid, const char* file) {
  const UniqueFd fd(::open(fmt::format("/proc/{}/{}", pid, file).c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[4096];
  const ssize_t got = fd.valid() ? ::read(fd.get(), buffer, sizeof(buffer)) : -1;
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string();
}

uint64_t kibibytes_after(const std::string& text, const char* label) {
  const size_t at = text.find(label);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + std::strlen(label), nullptr, 10) * 1024;
}

}  // namespace

Result<std::string> find_vmm() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::kNotFound, "cannot find out where adytond stands: " + error.message());
  const auto program = self.parent_path() / "adyton-vmm";
  if (::access(program.c_str(), X_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("the program {} is missing", program.string()));
  return program.string();
}

Result<std::unique_ptr<VmmProcess>> VmmProcess::spawn(EventLoop& loop, const std::string& program, log::Logger log,
                                                      std::function<void(ProcessExit)> exited) {
  std::unique_ptr<VmmProcess> process(new VmmProcess(std::move(log), std::move(exited)));
  auto [ours, theirs] = TRY(vmm::control::Socket::pair());
  ::fcntl(ours.fd(), F_SETFL, ::fcntl(ours.fd(), F_GETFL) | O_NONBLOCK);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  process->errors_.reset(ends[0]);
  const UniqueFd their_errors(ends[1]);
  // The other end too: when we are late, the VM loses lines of its log, and does not wait.
  for (const int end : ends) ::fcntl(end, F_SETFL, O_NONBLOCK);
  process->pid_ = TRY(vmm::control::launch(program, theirs.fd(), their_errors.get(), vmm_environment()));
  process->log_.set_pid(process->pid_);
  process->control_ = std::move(ours);
  // Debian 12's <sys/pidfd.h> declares its functions for C only.
  process->pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, process->pid_, 0)));
  if (!process->pidfd_.valid()) return fail_errno("cannot watch the VM's process");
  VmmProcess* self = process.get();
  process->exit_watch_ = Watch(loop, TRY(loop.watch(process->pidfd_.get(), EPOLLIN, [self](uint32_t) { self->on_exit(); })));
  process->errors_watch_ =
      Watch(loop, TRY(loop.watch(process->errors_.get(), EPOLLIN, [self](uint32_t) { (void)self->read_errors(); })));
  return process;
}

VmmProcess::~VmmProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  (void)wait_for(pid_);
}

void VmmProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);  // not reaped yet, so the number is still its own
}

void VmmProcess::on_exit() {
  exit_watch_.reset();
  const ProcessExit exit = wait_for(pid_);
  pid_ = -1;
  // It may end this object.
  const auto exited = std::move(exited_);
  exited(exit);
}

ProcessUsage VmmProcess::usage() const {
  ProcessUsage usage;
  if (pid_ <= 0) return usage;
  const std::string status = read_proc(pid_, "status");
  usage.resident = kibibytes_after(status, "VmRSS:");
  usage.peak_resident = kibibytes_after(status, "VmHWM:");
  // proc(5): the command's name, field 2, may hold anything; utime and stime are fields 14 and 15.
  const std::string stat = read_proc(pid_, "stat");
  if (const size_t end = stat.rfind(')'); end != std::string::npos) {
    unsigned long long user = 0;
    unsigned long long system = 0;
    if (std::sscanf(stat.c_str() + end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) == 2)
      usage.cpu_time =
          std::chrono::milliseconds((user + system) * 1000 / static_cast<unsigned long long>(::sysconf(_SC_CLK_TCK)));
  }
  return usage;
}

// False when there is nothing to be read now, or ever.
bool VmmProcess::read_errors() {
  char buffer[1024];
  const ssize_t got = ::read(errors_.get(), buffer, sizeof(buffer));
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    log_.finish();
    errors_watch_.reset();
    return false;
  }
  log_.take({buffer, static_cast<size_t>(got)});
  return true;
}

std::string VmmProcess::last_words() {
  for (int i = 0; i < 64 && read_errors(); ++i) {}  // a pipe holds no more
  log_.finish();
  std::string text = log_.last_words();
  constexpr std::string_view kPrefix = "adyton-vmm: ";
  if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace adyton::service
