#include "guest/init/payload.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "guest/init/launcher.h"
#include "guest/init/tree_operation.h"

namespace adyton::guest {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kPipeSize = 1 << 20;

enum class Stage : int { kSession, kDirectory, kIdentity, kExecute };

// What the child reports through the close-on-exec pipe when it cannot become the payload.
struct ChildFailure {
  Stage stage;
  int error;
};

ExecFailed failed(uint32_t exit_code, int error, std::string what) {
  return {static_cast<uint32_t>(error), exit_code, std::move(what) + ": " + (strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error")};
}

const char* find_variable(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') return entry.c_str() + name.size() + 1;
  }
  return nullptr;
}

// The candidates of execvp(3): the program itself when it names a directory, else one per PATH element.
std::vector<std::string> candidates(const std::string& program, const std::vector<std::string>& environment) {
  if (program.find('/') != std::string::npos) return {program};
  const char* variable = find_variable(environment, "PATH");
  const std::string path = variable ? variable : kDefaultPath;
  std::vector<std::string> result;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string directory = path.substr(begin, end - begin);
    result.push_back((directory.empty() ? "." : directory) + "/" + program);
    begin = end + 1;
  }
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));  // execve takes them so, and keeps them
  result.push_back(nullptr);
  return result;
}

// Runs in the child. Everything that allocates has been done by the parent.
class Child {
 public:
  Child(const ExecRequest& request, const std::vector<std::string>& environment)
      : request_(request), programs_(candidates(request.program, environment)), argv_(pointers(request.argv)), environment_(pointers(environment)) {}

  // `launch` is what the launcher of a shared library writes to, or -1.
  [[noreturn]] void run(const int (&streams)[3], bool terminal, int report, int launch) {
    sigset_t none;
    sigemptyset(&none);
    if (::setsid() < 0) give_up(report, Stage::kSession);
    if (terminal && ::ioctl(streams[0], TIOCSCTTY, 0) != 0) give_up(report, Stage::kSession);
    // None of ours is below 3 (main() sees to that), so no dup2 overwrites another's source.
    for (int i = 0; i < 3; ++i) {
      if (::dup2(streams[i], i) < 0) give_up(report, Stage::kSession);
    }
    if (launch >= 0) {
      // Whatever stands there is close-on-exec; only the report is still needed.
      if (report == kLaunchPipe && (report = ::fcntl(report, F_DUPFD_CLOEXEC, kLaunchPipe + 1)) < 0) give_up(report, Stage::kSession);
      if (launch == kLaunchPipe ? ::fcntl(launch, F_SETFD, 0) < 0 : ::dup2(launch, kLaunchPipe) < 0) give_up(report, Stage::kSession);
    }
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::umask(022);
    if (::setgroups(0, nullptr) != 0 && errno != EPERM) give_up(report, Stage::kIdentity);
    if (::setresgid(request_.gid, request_.gid, request_.gid) != 0 || ::setresuid(request_.uid, request_.uid, request_.uid) != 0) {
      give_up(report, Stage::kIdentity);
    }
    if (!request_.workdir.empty() && ::chdir(request_.workdir.c_str()) != 0) give_up(report, Stage::kDirectory);
    if (request_.operation != Operation::kExecute) {
      // As an execve() that succeeds. Our own copies of the pipes' other ends would keep us from seeing that those are closed.
      ::close_range(3, ~0u, 0);
      run_tree_operation(request_);
    }
    int error = ENOENT;
    for (const std::string& program : programs_) {
      ::execve(program.c_str(), argv_.data(), environment_.data());
      // As execvp(3): a candidate that exists but cannot be executed is the better report than one that does not exist.
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
      if (error != ENOENT && error != EACCES) break;
    }
    errno = error;
    give_up(report, Stage::kExecute);
  }

 private:
  [[noreturn]] static void give_up(int report, Stage stage) {
    const ChildFailure failure{stage, errno};
    [[maybe_unused]] const ssize_t written = ::write(report, &failure, sizeof failure);
    ::_exit(kExitError);
  }

  const ExecRequest& request_;
  std::vector<std::string> programs_;
  std::vector<char*> argv_;
  std::vector<char*> environment_;
};

ExecFailed explain(const ChildFailure& failure, const ExecRequest& request) {
  const std::string& program = request.program;
  switch (failure.stage) {
    case Stage::kSession: return failed(kExitError, failure.error, "preparing the payload's session in the guest");
    case Stage::kIdentity: return failed(kExitError, failure.error, "taking the payload's user id in the guest");
    case Stage::kDirectory: return failed(kExitError, failure.error, "entering " + request.workdir + " in the guest");
    case Stage::kExecute: break;
  }
  struct stat info {};
  const bool exists = program.find('/') != std::string::npos && ::stat(program.c_str(), &info) == 0;
  if (failure.error == ENOENT && exists) {
    return {ENOENT, static_cast<uint32_t>(kExitNotFound), program + ": its program interpreter does not exist in the guest"};
  }
  if (failure.error == ENOENT || failure.error == ENOTDIR) {
    return {static_cast<uint32_t>(failure.error), static_cast<uint32_t>(kExitNotFound), program + ": not found in the guest"};
  }
  if (failure.error == ENOEXEC) {
    return {ENOEXEC, static_cast<uint32_t>(kExitNotExecutable), program + ": not a program that the guest's kernel can execute"};
  }
  return failed(kExitNotExecutable, failure.error, program);
}

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  ::fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);  // less than asked for will do
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> open_terminal(const ExecRequest& request, UniqueFd& slave) {
  UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unlock = 0;
  if (!master.valid() || ::ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) return fail_errno("making a terminal in the guest");
  slave.reset(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.valid()) return fail_errno("opening a terminal in the guest");
  set_window_size(master.get(), request.rows, request.columns);
  if (::fchown(slave.get(), request.uid, request.gid) != 0) return fail_errno("giving the terminal to the payload");
  return master;
}

// Why the payload was not launched; empty: it was, or it ended before it could say anything, which its exit status tells.
std::string read_launch(int pipe) {
  std::string why;
  char buffer[1024];
  while (why.size() < sizeof buffer) {
    const ssize_t size = ::read(pipe, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0 || buffer[0] == kLaunched) break;
    why.append(buffer, static_cast<size_t>(size));
  }
  return why;
}

}  // namespace

std::vector<std::string> payload_environment(const ExecRequest& request) {
  std::vector<std::string> environment = request.env;
  if (!find_variable(environment, "PATH")) environment.push_back(std::string("PATH=") + kDefaultPath);
  if (!find_variable(environment, "HOME")) environment.push_back(request.uid == 0 ? "HOME=/root" : "HOME=/");
  if (request.terminal && !find_variable(environment, "TERM")) environment.push_back("TERM=linux");
  return environment;
}

void set_window_size(int terminal, uint16_t rows, uint16_t columns) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = columns;
  ::ioctl(terminal, TIOCSWINSZ, &size);
}

std::expected<Payload, ExecFailed> start_payload(const ExecRequest& request) {
  const auto own_failure = [](const Error& error) { return std::unexpected(ExecFailed{0, static_cast<uint32_t>(kExitError), error.message}); };
  auto report = make_pipe();
  if (!report) return own_failure(report.error());
  Payload payload;
  int child_streams[3];
  UniqueFd slave;
  Pipe in, out, err;
  if (request.terminal) {
    auto master = open_terminal(request, slave);
    if (!master) return own_failure(master.error());
    payload.streams.terminal = std::move(*master);
    for (int& stream : child_streams) stream = slave.get();
  } else {
    for (Pipe* pipe : {&in, &out, &err}) {
      auto made = make_pipe();
      if (!made) return own_failure(made.error());
      *pipe = std::move(*made);
    }
    // The payload's ends belong to the payload's user, so that it can open /dev/stdout again.
    for (const Pipe* pipe : {&in, &out, &err}) {
      if (request.uid != 0 && ::fchown(pipe->writer.get(), request.uid, request.gid) != 0) {
        return std::unexpected(failed(kExitError, errno, "giving a pipe to the payload"));
      }
    }
    child_streams[0] = in.reader.get();
    child_streams[1] = out.writer.get();
    child_streams[2] = err.writer.get();
    payload.streams.stdin_writer = std::move(in.writer);
    payload.streams.stdout_reader = std::move(out.reader);
    payload.streams.stderr_reader = std::move(err.reader);
  }
  for (const UniqueFd* fd :
       {&payload.streams.stdin_writer, &payload.streams.stdout_reader, &payload.streams.stderr_reader, &payload.streams.terminal}) {
    if (fd->valid() && ::fcntl(fd->get(), F_SETFL, O_NONBLOCK) != 0) {
      return std::unexpected(failed(kExitError, errno, "preparing the payload's streams"));
    }
  }

  Pipe launch;
  if (request.program == kLauncherPath) {
    auto made = make_pipe();
    if (!made) return own_failure(made.error());
    launch = std::move(*made);
  }
  const std::vector<std::string> environment = payload_environment(request);
  Child child(request, environment);
  payload.pid = ::fork();
  if (payload.pid < 0) return std::unexpected(failed(kExitError, errno, "starting a process in the guest"));
  if (payload.pid == 0)
    child.run(child_streams, request.terminal, report->writer.get(), launch.writer.valid() ? launch.writer.get() : -1);

  report->writer.reset();
  ChildFailure failure{};
  ssize_t size = 0;
  do {
    size = ::read(report->reader.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == static_cast<ssize_t>(sizeof failure)) return std::unexpected(explain(failure, request));
  if (launch.reader.valid()) {
    launch.writer.reset();
    if (const std::string why = read_launch(launch.reader.get()); !why.empty()) {
      return std::unexpected(ExecFailed{0, static_cast<uint32_t>(kExitNotExecutable), why});
    }
  }
  return payload;
}

}  // namespace adyton::guest
