// Boots a kernel on the software backend with the UART on stdin and stdout and nothing else: the smallest use of the board.
//
//   boot_probe --kernel Image [--initrd X] [--smp N] [--memory MiB] [--append STR] [--flat | --firmware]
//
// Exit status: 0 when the guest shut down, 3 when it reset, 1 for anything else.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <optional>
#include <vector>

#include "hypervisor/soft/soft_vm.h"
#include "vmm/machine.h"

namespace {

using adyton::Result;
using adyton::UniqueFd;
namespace vmm = adyton::vmm;

struct Options {
  std::string kernel, initrd, append;
  unsigned cpus = 1;
  uint64_t memory_mib = 512;
  bool flat = false, firmware = false, interpret = false;
};

class RawTerminal {
 public:
  RawTerminal() {
    if (!::isatty(STDIN_FILENO) || ::tcgetattr(STDIN_FILENO, &before_)) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    raw.c_lflag |= ISIG;  // Ctrl-C ends the probe
    raw.c_oflag |= OPOST;
    changed_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawTerminal() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
  bool changed_ = false;
};

void write_all(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written <= 0) return;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void signal(const UniqueFd& eventfd) {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(eventfd.get(), &one, sizeof one);
}

// Feeds stdin to the UART until `wake` is signalled with `over` set.
void feed_input(vmm::Pl011& uart, const UniqueFd& wake, const std::atomic<bool>& over) {
  std::vector<uint8_t> pending;
  bool open = true;
  while (!over) {
    pollfd fds[2] = {{wake.get(), POLLIN, 0}, {open && pending.empty() ? STDIN_FILENO : -1, POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[0].revents) {
      uint64_t count;
      [[maybe_unused]] ssize_t got = ::read(wake.get(), &count, sizeof count);
    }
    if (fds[1].revents) {
      pending.resize(4096);
      ssize_t got = ::read(STDIN_FILENO, pending.data(), pending.size());
      open = got > 0;
      pending.resize(got > 0 ? static_cast<size_t>(got) : 0);
    }
    if (!pending.empty()) pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(uart.receive(pending)));
  }
}

Result<UniqueFd> open_for_reading(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return adyton::fail_errno(path);
  return fd;
}

Result<vmm::Machine::End> boot(const Options& options) {
  UniqueFd kernel_fd = TRY(open_for_reading(options.kernel));
  auto kernel = TRY(vmm::FileSource::open(kernel_fd.get()));
  UniqueFd initrd_fd;
  std::optional<vmm::FileSource> initrd;
  if (!options.initrd.empty()) {
    initrd_fd = TRY(open_for_reading(options.initrd));
    initrd = TRY(vmm::FileSource::open(initrd_fd.get()));
  }
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::atomic<bool> over = false;
  auto vm = TRY(adyton::hypervisor::soft::create_soft_vm({.engine = {.interpret = options.interpret}}));
  auto machine = TRY(vmm::Machine::create({.cpus = options.cpus,
                                           .memory_size = options.memory_mib << 20,
                                           .firmware_memory = options.firmware,
                                           .console = {.output = write_all, .input_ready = [&] { signal(wake); }}},
                                          std::move(vm)));
  using Mode = vmm::BootConfig::Mode;
  TRY(machine->load({.mode = options.firmware ? Mode::kFirmware
                             : options.flat   ? Mode::kFlat
                                              : Mode::kKernel,
                     .kernel = &kernel,
                     .initrd = initrd ? &*initrd : nullptr,
                     .command_line = options.append}));
  RawTerminal terminal;
  TRY(machine->start([&](const vmm::Machine::End&) {
    over = true;
    signal(wake);
  }));
  feed_input(machine->uart(), wake, over);
  return machine->wait();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Boots a kernel on Adyton's board"};
  app.add_option("--kernel", options.kernel, "arm64 Image, or the program for --flat and --firmware")->required();
  app.add_option("--initrd", options.initrd);
  app.add_option("--append", options.append, "kernel command line");
  app.add_option("--smp", options.cpus, "number of vCPUs");
  app.add_option("--memory", options.memory_mib, "MiB");
  app.add_flag("--flat", options.flat, "the kernel is a flat binary without a header");
  app.add_flag("--firmware", options.firmware, "the kernel is firmware that runs from address 0");
  app.add_flag("--interpret", options.interpret, "use the reference interpreter");
  CLI11_PARSE(app, argc, argv);
  auto end = boot(options);
  if (!end) {
    fmt::print(stderr, "boot_probe: {}\n", end.error().message);
    return 1;
  }
  if (!end->message.empty()) fmt::print(stderr, "boot_probe: {}\n", end->message);
  if (end->reason == vmm::Machine::EndReason::kShutdown) return 0;
  fmt::print(stderr, "boot_probe: the guest ended by {}\n", vmm::to_string(end->reason));
  return end->reason == vmm::Machine::EndReason::kReset ? 3 : 1;
}
