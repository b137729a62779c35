// The program `adyton-vmm`: one VM, driven over the control socket that it is started with. It has no options and opens no files;
// its life ends with the VM, with the socket's other end, or with the process that started it. The first thing it does is to lock
// itself in (sandbox/).
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/log/logger.h"
#include "base/log/sinks.h"
#include "vmm/control/server.h"
#include "vmm/controlled_vm.h"
#include "vmm/sandbox/limits.h"
#include "vmm/sandbox/sandbox.h"

namespace adyton::vmm {
namespace {

bool is_control_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

const log::Logger kLog("vmm");

// Its standard error is a pipe to the service, or what the user's adyton has. Before the sandbox, which has no environment.
Result<void> start_log() {
  log::Options options;
  options.level = log::Level::kWarning;
  options.destination = log::Destination::kStderr;
  options.patience = log::StreamSink::Patience::kWaits;  // the service's pipe does not wait
  options.identifier = "adyton-vmm";
  TRY(log::read_environment(options));
  return log::start(std::move(options));
}

// Measures that are not in force, in one line.
void log_sandbox(const sandbox::Report& report) {
  std::string missing;
  for (const sandbox::Measure& measure : report) {
    if (!measure.in_force) missing += fmt::format("{}{} ({})", missing.empty() ? "" : ", ", measure.name, measure.detail);
  }
  if (!missing.empty()) kLog.info({}, "the sandbox lacks what this host does not permit: {}", missing);
}

// The last step before guest code runs: the main thread keeps what serving the control socket takes.
Result<void> before_guest(std::optional<uint64_t> largest_file) {
  if (largest_file) TRY(sandbox::limit_file_size(*largest_file));
  sandbox::enter_thread("control");
  return {};
}

int serve() {
  if (!is_control_socket(control::kControlFd)) {
    fmt::print(stderr, "adyton-vmm: this program is started by adyton, with a control socket; see 'adyton run --help'\n");
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  if (auto started = start_log(); !started) {
    fmt::print(stderr, "adyton-vmm: {}\n", started.error().message);
    return 2;
  }
  UniqueFd socket(control::kControlFd);
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  ::close_range(control::kControlFd + 1, ~0u, 0);  // whoever started us may have left something open

  auto report = sandbox::enter_process(control::kControlFd);
  if (!report) {
    kLog.error({}, "cannot make the sandbox: {}", report.error().message);
    return 1;
  }
  log_sandbox(*report);
  std::vector<control::SandboxMeasure> measures;
  for (sandbox::Measure& m : *report) measures.push_back({std::move(m.name), m.in_force, std::move(m.detail)});

  MachineFactory factory(std::move(measures), before_guest);
  control::Server server(control::Socket(std::move(socket)), factory);
  if (auto served = server.run(); !served) {
    kLog.error({}, "{}", served.error().message);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace adyton::vmm

int main() { return adyton::vmm::serve(); }
