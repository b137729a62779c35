// The program `adyton`.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/attach.h"
#include "cli/capture.h"
#include "cli/copy.h"
#include "cli/crash_report.h"
#include "cli/debugger.h"
#include "cli/doctor.h"
#include "cli/dump.h"
#include "cli/exec.h"
#include "cli/lifecycle.h"
#include "cli/looking.h"
#include "cli/manual.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/prune.h"
#include "cli/run.h"
#include "cli/top.h"
#include "cli/trace.h"
#include "guest/exec_protocol.h"
#include "sdk/installation.h"

namespace adyton::cli {
namespace {

// A standard stream that we were started without must not become the number of a file that we open. Reading it ends at once,
// writing it fails.
void fill_standard_streams() {
  while (true) {
    const int fd = ::open("/dev/null", O_RDONLY);
    if (fd > STDERR_FILENO) ::close(fd);
    if (fd > STDERR_FILENO || fd < 0) return;
  }
}

int prepare(const PrepareOptions& options) {
  Progress progress(STDERR_FILENO, !options.quiet && ::isatty(STDERR_FILENO) == 1);
  auto directory = prepare_cache(options.kernel_suite, progress);
  progress.clear();
  if (directory) return print(fmt::format("The guest's kernel is ready in {}\n", *directory));
  say(directory.error().message);
  return guest::kExitError;
}

// Becomes aidlc, which stands beside us.
int run_aidlc(const AidlOptions& options) {
  auto program = sdk::find_program("aidlc", "ADYTON_AIDLC");
  if (!program) {
    say(program.error().message);
    return guest::kExitError;
  }
  std::vector<std::string> words = {"aidlc"};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program->c_str(), argv.data());
  say(fail_errno("cannot run " + *program).error().message);
  return guest::kExitError;
}

int manual(const ManualOptions& options) {
  auto written = write_manual(options.directory);
  if (written) return 0;
  say(written.error().message);
  return guest::kExitError;
}

struct Execute {
  int operator()(const RunOptions& options) const { return run(options); }
  int operator()(const CreateOptions& options) const { return create(options); }
  int operator()(const VerbOptions& options) const { return apply_verb(options); }
  int operator()(const ListOptions& options) const { return list(options); }
  int operator()(const InfoOptions& options) const { return info(options); }
  int operator()(const ExecOptions& options) const { return exec(options); }
  int operator()(const CopyOptions& options) const { return copy(options); }
  int operator()(const ConsoleOptions& options) const { return console(options); }
  int operator()(const LogsOptions& options) const { return logs(options); }
  int operator()(const DebugOptions& options) const { return debug(options); }
  int operator()(const BalloonOptions& options) const { return balloon(options); }
  int operator()(const DumpOptions& options) const { return dump(options); }
  int operator()(const CrashReportOptions& options) const { return show_crash_report(options); }
  int operator()(const TopOptions& options) const { return top(options); }
  int operator()(const CaptureOptions& options) const { return capture(options); }
  int operator()(const TraceOptions& options) const { return trace(options); }
  int operator()(const AidlOptions& options) const { return run_aidlc(options); }
  int operator()(const ManualOptions& options) const { return manual(options); }
  int operator()(const PrepareOptions& options) const { return prepare(options); }
  int operator()(const PruneOptions& options) const { return prune(options); }
  int operator()(const DoctorOptions& options) const { return print(doctor(options)); }
  int operator()(const PrintText& output) const { return print(output.text); }
};

}  // namespace
}  // namespace adyton::cli

int main(int argc, char** argv) {
  using namespace adyton::cli;
  fill_standard_streams();
  auto command = parse_command_line(std::vector<std::string>(argv, argv + argc));
  if (!command) {
    say(command.error().message);
    return adyton::guest::kExitError;
  }
  return std::visit(Execute{}, *command);
}
