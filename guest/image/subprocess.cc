#include "guest/image/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/unique_fd.h"

namespace adyton::image {
namespace {

constexpr size_t kMaxOutput = size_t{64} << 20;  // apt's answers are far smaller

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The caller's environment in the C locale, so that messages are what they are everywhere.
std::vector<std::string> c_locale_environment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("LC_") && !text.starts_with("LANG")) environment.emplace_back(text);
  }
  environment.emplace_back("LC_ALL=C");
  return environment;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec of a process that may have threads: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* directory, int out, int err, int report, pid_t parent) {
  const int null = ::open("/dev/null", O_RDONLY);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Its own group: Ctrl-C is the caller's to handle.
  ::setpgid(0, 0);
  if (null >= 0 && ::dup2(null, 0) >= 0 && ::dup2(out, 1) >= 0 && ::dup2(err, 2) >= 0 && (!directory || ::chdir(directory) == 0)) {
    ::execvpe(argv[0], argv, environment);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(report, &error, sizeof error);
  ::_exit(127);
}

void collect(int out, int err, CommandOutput& output) {
  struct Source {
    int fd;
    std::string* text;
  } sources[] = {{out, &output.output}, {err, &output.errors}};
  for (int open = 2; open > 0;) {
    pollfd entries[] = {{sources[0].fd, POLLIN, 0}, {sources[1].fd, POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (entries[i].revents == 0) continue;
      char chunk[65536];
      const ssize_t size = ::read(sources[i].fd, chunk, sizeof chunk);
      if (size > 0) {
        if (sources[i].text->size() < kMaxOutput) sources[i].text->append(chunk, static_cast<size_t>(size));
      } else if (size == 0 || errno != EINTR) {
        sources[i].fd = -1;
        --open;
      }
    }
  }
}

// The line of a program's errors that tells most: the first that is marked as an error (apt's "E: ", erofs-utils' "<E> "), else the last.
std::string telling_line(const std::string& text) {
  std::string last;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    for (const std::string_view mark : {"E: ", "<E> "}) {
      if (line.starts_with(mark)) return line.substr(mark.size());
    }
    if (line.find_first_not_of(' ') != std::string::npos) last = std::move(line);
  }
  return last;
}

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& argv, const std::string& directory) {
  if (argv.empty()) return fail(ErrorCode::kInvalidArgument, "no command");
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  Pipe report = TRY(make_pipe());
  const std::vector<std::string> environment = c_locale_environment();
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("starting " + argv[0]);
  if (child == 0) {
    become(arguments.data(), variables.data(), directory.empty() ? nullptr : directory.c_str(), out.writer.get(), err.writer.get(),
           report.writer.get(), parent);
  }
  out.writer.reset();
  err.writer.reset();
  report.writer.reset();
  CommandOutput output;
  collect(out.reader.get(), err.reader.get(), output);
  int error = 0;
  const ssize_t reported = ::read(report.reader.get(), &error, sizeof error);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno("waiting for " + argv[0]);
  }
  if (reported == static_cast<ssize_t>(sizeof error)) return fail_errno("executing " + argv[0], error);
  output.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return output;
}

Result<std::string> run_command_checked(const std::vector<std::string>& argv, const std::string& directory) {
  CommandOutput output = TRY(run_command(argv, directory));
  if (output.status == 0) return std::move(output.output);
  const std::string why = telling_line(output.errors);
  return fail(ErrorCode::kUnavailable, why.empty() ? fmt::format("{} failed with status {}", argv[0], output.status) : fmt::format("{}: {}", argv[0], why));
}

}  // namespace adyton::image
