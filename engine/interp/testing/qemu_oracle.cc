#include "engine/interp/testing/qemu_oracle.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/interp/testing/qemu_worker.h"

namespace adyton::engine::interp::testing {

namespace {

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "QEMU oracle: %s\n", what);
  std::abort();
}

bool send_all(int fd, const void* data, size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size != 0) {
    const ssize_t n = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

std::unique_ptr<QemuOracle> QemuOracle::create() {
  const char* worker = ADYTON_QEMU_WORKER;
  if (*worker == '\0' || ::access(worker, X_OK) != 0) return nullptr;
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return nullptr;
  UniqueFd ours(sockets[0]), theirs(sockets[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return nullptr;
  if (pid == 0) {
    ::dup2(theirs.get(), 0);
    ::dup2(theirs.get(), 1);
    ::execlp("qemu-aarch64", "qemu-aarch64", "-cpu", "max", worker, static_cast<char*>(nullptr));
    ::_exit(127);
  }
  std::unique_ptr<QemuOracle> oracle(new QemuOracle(pid, std::move(ours)));
  theirs.reset();
  // A first run tells whether QEMU came up.
  QemuWorkerState probe{};
  if (!send_all(oracle->socket_.get(), &probe, sizeof probe) ||
      ::recv(oracle->socket_.get(), &probe, sizeof probe, MSG_WAITALL) != ssize_t{sizeof probe}) {
    return nullptr;
  }
  return oracle;
}

QemuOracle::~QemuOracle() {
  socket_.reset();
  ::waitpid(pid_, nullptr, 0);
}

void QemuOracle::run(std::span<const uint32_t> program, MachineState& state) {
  QemuWorkerState message{};
  if (program.size() > kQemuWorkerMaxWords) die("the program is too long");
  std::copy(state.x.begin(), state.x.end(), message.x);
  static_assert(sizeof message.v == sizeof state.v);
  std::memcpy(message.v, state.v.data(), sizeof message.v);
  message.nzcv = state.nzcv << 28;
  message.fpcr = state.fpcr;
  message.fpsr = state.fpsr;
  message.word_count = static_cast<uint32_t>(program.size());
  std::copy(program.begin(), program.end(), message.words);
  if (!send_all(socket_.get(), &message, sizeof message)) die("the worker is gone");
  if (::recv(socket_.get(), &message, sizeof message, MSG_WAITALL) != ssize_t{sizeof message}) die("the worker died");
  std::copy(message.x, message.x + state.x.size(), state.x.begin());
  std::memcpy(state.v.data(), message.v, sizeof message.v);
  state.nzcv = message.nzcv >> 28;
  state.fpcr = message.fpcr;
  state.fpsr = message.fpsr;
  state.exception = message.signal != 0;
  state.exception_class = 0;
  state.pc = kCodeAddress + 4 * (state.exception ? message.signal_position : program.size());
}

}  // namespace adyton::engine::interp::testing
