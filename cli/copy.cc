#include "cli/copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/thread.h"
#include "cli/exec.h"
#include "cli/message.h"
#include "guest/tree/copy.h"

namespace adyton::cli {
namespace {

constexpr int kPipeSize = 1 << 20;

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  ::fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);  // less than asked for will do
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> open_null(int flags) {
  UniqueFd null(::open("/dev/null", flags | O_CLOEXEC));
  if (!null.valid()) return fail_errno("cannot open /dev/null");
  return null;
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_errno("cannot use a standard stream");
  return copy;
}

// Standard input to its end, in a file without a name: a file's size goes before its bytes.
Result<UniqueFd> spool(int from) {
  const char* folder = std::getenv("TMPDIR");
  UniqueFd file(::open(folder != nullptr && *folder == '/' ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid()) return fail_errno("cannot keep standard input in a file");
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read standard input");
    if (got == 0) return file;
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::write(file.get(), buffer.data() + done, static_cast<size_t>(got - done));
      if (put < 0) return fail_errno("cannot keep standard input in a file");
      done += put;
    }
  }
}

// What our end of the stream does, on a thread of its own.
class Worker {
 public:
  template <typename Work>
  Result<void> start(Work work) {
    thread_ = TRY(start_thread("copy", [this, work = std::move(work)]() mutable { result_ = work(); }));
    return {};
  }
  Result<void> finish() {
    thread_.join();
    return result_;
  }

 private:
  Result<void> result_;
  std::jthread thread_;
};

// Who fails first is who says why: an end whose peer is gone fails as well.
Result<Outcome> judge(const Outcome& session, Result<void> ours) {
  const bool secondary = !ours && ours.error().code == ErrorCode::kUnavailable;
  if (!ours && !(secondary && session.exit_code != 0)) return std::unexpected(std::move(ours).error());
  return session;
}

Result<Outcome> copy_in(ExecSessionConfig session, const CopyOptions& options) {
  const bool piped = options.from.path == "-";
  const tree::Source source =
      piped ? tree::Source{.path = "-", .name = {}, .contents_only = false} : tree::parse_source(options.from.path);
  UniqueFd spooled;
  if (piped) {
    spooled = TRY(spool(STDIN_FILENO));
  } else if (struct stat status{}; ::lstat(source.path.c_str(), &status) != 0) {
    return fail_errno(fmt::format("cannot read '{}'", source.path));  // before the guest has made anything
  }
  session.request.operation = guest::Operation::kReceiveTree;
  session.request.program = options.to.path;
  session.request.argv = {options.to.path, source.name, source.contents_only ? "contents" : ""};
  Pipe pipe = TRY(make_pipe());
  ::fcntl(pipe.reader.get(), F_SETFL, O_NONBLOCK);
  session.stdio[0] = std::move(pipe.reader);
  session.stdio[1] = TRY(open_null(O_WRONLY));
  Worker worker;
  TRY(worker.start([&source, spooled = std::move(spooled), follow = options.follow_link, out = std::move(pipe.writer)]() mutable {
    const UniqueFd writer = std::move(out);
    if (spooled.valid()) return tree::send_file(spooled.get(), 0644, writer.get());
    return tree::send_tree(source.path, follow, writer.get(), [](const std::string& message) { say(message); });
  }));
  const Outcome outcome = ExecSession(std::move(session)).run();
  return judge(outcome, worker.finish());
}

Result<Outcome> copy_out(ExecSessionConfig session, const CopyOptions& options) {
  const tree::Source source = tree::parse_source(options.from.path);
  session.request.operation = guest::Operation::kSendTree;
  session.request.program = source.path;
  session.request.argv = {source.path, options.follow_link ? "follow" : ""};
  Pipe pipe = TRY(make_pipe());
  ::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK);
  session.stdio[0] = TRY(open_null(O_RDONLY));
  session.stdio[1] = std::move(pipe.writer);
  // The guest may say what it likes: no set-user-id bits come from there.
  const tree::Target target{
      .path = options.to.path, .name = source.name, .contents_only = source.contents_only, .mode_mask = 0777};
  const UniqueFd output = TRY(duplicate(STDOUT_FILENO));
  Worker worker;
  TRY(worker.start([&target, &output, in = std::move(pipe.reader)]() mutable {
    const UniqueFd reader = std::move(in);
    return target.path == "-" ? tree::receive_file(reader.get(), output.get()) : tree::receive_tree(reader.get(), target);
  }));
  const Outcome outcome = ExecSession(std::move(session)).run();
  return judge(outcome, worker.finish());
}

Result<Outcome> run(const CopyOptions& options) {
  ExecSessionConfig session;
  session.stdio[2] = TRY(open_endpoint(STDERR_FILENO, /*for_reading=*/false));
  TRY(reach_exec_server(session, options.from.vm ? *options.from.vm : *options.to.vm));
  return copy_through(std::move(session), options);
}

}  // namespace

Result<Outcome> copy_through(ExecSessionConfig session, const CopyOptions& options) {
  return options.from.vm ? copy_out(std::move(session), options) : copy_in(std::move(session), options);
}

int copy(const CopyOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto result = run(options);
  if (!result) {
    say(result.error().message);
    return guest::kExitError;
  }
  if (!result->message.empty()) say(result->message);
  return result->exit_code;
}

}  // namespace adyton::cli
