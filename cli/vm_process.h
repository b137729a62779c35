// An adyton-vmm process of ours: it lives no longer than we do.
#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "vmm/control/socket.h"

namespace adyton::cli {

// The adyton-vmm program that belongs to this adyton: beside it in a build tree, under libexec where it is installed.
Result<std::string> find_vmm();

class VmProcess {
 public:
  // Starts `program`, in a session of its own: the terminal's signals are ours to pass on.
  // `vm`: whose its log lines are.
  static Result<VmProcess> spawn(const std::string& program, const std::string& vm);

  VmProcess(VmProcess&& other) noexcept;
  VmProcess& operator=(VmProcess&&) = delete;
  ~VmProcess();  // kills it and waits for it

  [[nodiscard]] vmm::control::Socket& control() { return control_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // Kills it unless it has ended by itself, waits, and says how it went: "exit code 1", "killed by signal 11 (Segmentation
  // fault)".
  std::string finish();

 private:
  VmProcess(pid_t pid, vmm::control::Socket control) : pid_(pid), control_(std::move(control)) {}

  pid_t pid_ = -1;
  vmm::control::Socket control_;
};

}  // namespace adyton::cli
