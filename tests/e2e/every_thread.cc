#include "tests/e2e/every_thread.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"
#include "cli/vm_process.h"
#include "tests/e2e/adyton.h"
#include "tests/e2e/hijack.h"
#include "tests/e2e/vmm_client.h"
#include "vmm/control/launch.h"
#include "vmm/control/protocol.h"
#include "vmm/control/socket.h"

namespace adyton::e2e {
namespace {

namespace control = vmm::control;

// Killed, unless it has ended.
class Process {
 public:
  explicit Process(pid_t pid) : pid_(pid) {}
  ~Process() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

Result<UniqueFd> memory(const char* name, off_t size) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid() || ::ftruncate(fd.get(), size) != 0) return fail_errno("memfd_create");
  return fd;
}

}  // namespace

Result<HijackedEnd> hijack_thread(const ThreadKind& kind, const char* function, uint64_t argument) {
  const std::string_view policy = kind.policy;
  auto [ours, theirs] = TRY(control::Socket::pair());
  const UniqueFd errors = TRY(memory("errors", 0));
  const std::string vmm = TRY(cli::find_vmm());
  Process process(TRY(control::launch(vmm, theirs.fd(), errors.get(), std::nullopt)));
  (void)theirs.take();  // so that its end is seen

  const UniqueFd kernel(::open(raw_kernel().c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd disk = TRY(memory("disk", 1 << 20));
  int console[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) != 0) return fail_errno("socketpair");
  const UniqueFd our_console(console[0]), their_console(console[1]);
  const int fds[] = {kernel.get(), disk.get(), their_console.get()};
  VmmClient client(ours);
  TRY(client.ask(control::Configure{.cpus = 2,
                                    .memory = 64 << 20,
                                    .kernel = 0,
                                    .disks = {{.fd = 1, .read_only = false}},
                                    .console_output = 2,
                                    .console_input = 2,
                                    .virtio_console = policy == "virtio-console",
                                    .watchdog_seconds = 3600},
                 fds));
  if (policy != "setup") TRY(client.ask(control::Start{}));
  const auto thread = find_thread(process.pid(), kind.thread, policy == "setup" ? 1 : 2);
  if (!thread) return fail(ErrorCode::kNotFound, "there is no such thread");

  HijackedEnd end;
  TRY(hijack(process.pid(), *thread, function, argument));
  for (auto packet = ours.receive(); packet; packet = ours.receive()) end.last_message = packet->text;
  end.exit_code = process.wait();
  end.errors = contents("/proc/self/fd/" + std::to_string(errors.get()));
  return end;
}

}  // namespace adyton::e2e
