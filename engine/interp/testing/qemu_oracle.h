// QEMU's user mode as an Executor: a second implementation that we did not write, for what VIXL's simulator does not model (FPSR,
// FPCR.RMode, FPCR.FZ, cryptography, UNDEFINED). Straight-line code without memory accesses and without SP only.
#pragma once
#include <sys/types.h>

#include <memory>

#include "base/unique_fd.h"
#include "engine/interp/testing/machine_state.h"

namespace adyton::engine::interp::testing {

class QemuOracle final : public Executor {
 public:
  // Null where the machine had no cross compiler when this was built, or has no qemu-aarch64 now.
  static std::unique_ptr<QemuOracle> create();
  ~QemuOracle() override;
  QemuOracle(const QemuOracle&) = delete;
  QemuOracle& operator=(const QemuOracle&) = delete;

  // At most 64 instructions. A signal is reported as an exception with class 0 (UNDEFINED). Aborts the test program when QEMU
  // dies.
  void run(std::span<const uint32_t> program, MachineState& state) override;

 private:
  QemuOracle(pid_t pid, UniqueFd socket) : pid_(pid), socket_(std::move(socket)) {}
  pid_t pid_;
  UniqueFd socket_;
};

}  // namespace adyton::engine::interp::testing
