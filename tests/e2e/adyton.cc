#include "tests/e2e/adyton.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

namespace adyton::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kPatienceMilliseconds = 20'000;

struct Pipe {
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) std::abort();
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  UniqueFd reader, writer;
};

std::string program() { return ADYTON_PROGRAM; }

}  // namespace

std::string probe() { return ADYTON_PROBE; }
std::string dynamic_probe() { return ADYTON_DYNAMIC_PROBE; }

std::string raw_kernel() { return ADYTON_RAW_KERNEL; }

std::string contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "adyton-test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}
std::string TemporaryFolder::write(const std::string& name, std::string_view contents, unsigned mode) const {
  const fs::path path = fs::path(path_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << contents;
  ::chmod(path.c_str(), mode);
  return path.string();
}

Adyton::Adyton(const std::string& script, std::vector<std::string> arguments, Streams streams) {
  ::signal(SIGPIPE, SIG_IGN);
  mark_ = fmt::format("ADYTON_E2E_MARK={:016x}", std::random_device{}() | uint64_t{std::random_device{}()} << 32);
  std::vector<std::string> words =
      script.empty() ? std::vector<std::string>{program()} : std::vector<std::string>{"/bin/sh", "-c", script, "sh"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = {mark_, "TMPDIR=" + temporary_.path(), "ADYTON=" + program(), "PROBE=" + probe(),
                                          "TERM=xterm"};
  // A test that has a service of its own keeps it.
  if (std::getenv("ADYTON_RUNTIME_DIR") == nullptr) environment.push_back("ADYTON_RUNTIME_DIR=" + runtime_.path());
  if (std::getenv("XDG_DATA_HOME") == nullptr) environment.push_back("XDG_DATA_HOME=" + runtime_.path() + "/data");
  // Not the machine's own journal, which services that programs start would write to.
  if (std::getenv("ADYTON_JOURNAL_SOCKET") == nullptr) environment.push_back("ADYTON_JOURNAL_SOCKET=/nonexistent");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("TMPDIR=") && !text.starts_with("TERM=")) environment.emplace_back(text);
  }
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  Pipe in, out, err;
  UniqueFd controller, terminal;
  if (streams == Streams::kTerminal) {
    int fds[2];
    winsize size{.ws_row = 33, .ws_col = 101, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::openpty(&fds[0], &fds[1], nullptr, nullptr, &size) != 0) std::abort();
    controller.reset(::fcntl(fds[0], F_DUPFD_CLOEXEC, 3));
    terminal.reset(::fcntl(fds[1], F_DUPFD_CLOEXEC, 3));
    ::close(fds[0]);
    ::close(fds[1]);
  }
  pid_ = ::fork();
  if (pid_ == 0) {
    // A test that is killed takes its VM along.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    // Whatever the test runner ignores, a user's shell does not.
    for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
    if (terminal.valid()) {
      ::ioctl(terminal.get(), TIOCSCTTY, 0);
      ::dup2(terminal.get(), 0);
      ::dup2(terminal.get(), 1);
    } else {
      ::dup2(in.reader.get(), 0);
      ::dup2(out.writer.get(), 1);
    }
    ::dup2(err.writer.get(), 2);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(99);
  }
  error_ = std::move(err.reader);
  if (terminal.valid()) {
    input_.reset(::fcntl(controller.get(), F_DUPFD_CLOEXEC, 3));
    output_ = std::move(controller);
  } else {
    input_ = std::move(in.writer);
    output_ = std::move(out.reader);
  }
}

Adyton::~Adyton() {
  // The service first, so that nothing is started any more.
  if (std::getenv("ADYTON_RUNTIME_DIR") == nullptr) {
    for (const pid_t pid : marked(/*service=*/true)) ::kill(pid, SIGKILL);
  }
  for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

void Adyton::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(input_.get(), bytes.data(), bytes.size());
    if (put < 0) return;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

void Adyton::resize(uint16_t rows, uint16_t columns) {
  const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(output_.get(), TIOCSWINSZ, &size), 0);
}

void Adyton::signal(int number) const { ASSERT_EQ(::kill(pid_, number), 0); }

bool Adyton::wait_for(std::string_view text) {
  while (out_.find(text) == std::string::npos) {
    if (!read_more()) return false;
  }
  return true;
}

bool Adyton::read_more() {
  char buffer[4096];
  const ssize_t got = ::read(output_.get(), buffer, sizeof(buffer));
  if (got <= 0) return false;
  out_.append(buffer, static_cast<size_t>(got));
  return true;
}

bool Adyton::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
}

int Adyton::finish() {
  std::thread errors([this] {
    char buffer[4096];
    for (ssize_t got; (got = ::read(error_.get(), buffer, sizeof(buffer))) > 0;) err_.append(buffer, static_cast<size_t>(got));
  });
  std::vector<char> buffer(1 << 16);
  for (ssize_t got; (got = ::read(output_.get(), buffer.data(), buffer.size())) > 0;)
    out_.append(buffer.data(), static_cast<size_t>(got));
  errors.join();
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<pid_t> Adyton::processes() const { return marked(/*service=*/false); }

std::vector<pid_t> Adyton::marked(bool service) const {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if ((contents(entry.path() / "comm") == "adytond\n") != service) continue;
    if (contents(entry.path() / "environ").find(mark_) != std::string::npos) found.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return found;
}

size_t Adyton::wait_until_gone() const {
  size_t left = 0;
  for (const pid_t pid : processes()) {
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process.valid()) continue;
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, kPatienceMilliseconds) == 0) ++left;
  }
  return left;
}

std::vector<std::string> Adyton::temporary_files() const {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(temporary_.path())) files.push_back(entry.path().filename().string());
  return files;
}

Finished run(std::vector<std::string> arguments, std::string_view input) {
  arguments.insert(arguments.begin(), "run");
  Adyton adyton(std::move(arguments));
  std::thread feeder([&] {
    adyton.write(input);
    adyton.close_input();
  });
  const int code = adyton.finish();
  feeder.join();
  EXPECT_EQ(adyton.wait_until_gone(), 0u) << "processes were left behind";
  EXPECT_TRUE(adyton.temporary_files().empty()) << "temporary files were left behind";
  return {.code = code, .output = adyton.output(), .errors = adyton.errors()};
}

}  // namespace adyton::e2e
