// An adyton-vmm process: it lives no longer than this object, nor than the service.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/event_loop.h"
#include "service/vmm_log.h"
#include "vmm/control/socket.h"

namespace adyton::service {

// The adyton-vmm that belongs to this adytond: in the same folder.
Result<std::string> find_vmm();

struct ProcessUsage {
  std::chrono::milliseconds cpu_time{0};
  uint64_t resident = 0;       // bytes
  uint64_t peak_resident = 0;  // bytes
};

struct ProcessExit {
  bool signalled = false;
  int value = 0;  // exit status, or signal number
  ProcessUsage usage;
};

// Threading: the event loop's. That thread must be the one that starts it: the kernel kills the process when the thread ends
// (PR_SET_PDEATHSIG is about threads).
class VmmProcess {
 public:
  // What the process logs becomes part of `log`, which names the VM. `exited` is called once, on the loop, when the process has
  // ended; not after this object is gone.
  static Result<std::unique_ptr<VmmProcess>> spawn(EventLoop& loop, const std::string& program, log::Logger log,
                                                   std::function<void(ProcessExit)> exited);
  ~VmmProcess();  // kills it and waits for it
  VmmProcess(const VmmProcess&) = delete;
  VmmProcess& operator=(const VmmProcess&) = delete;

  // Non-blocking: kExhausted when nothing can be sent or received now.
  [[nodiscard]] vmm::control::Socket& control() { return control_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill();
  // Of the running process.
  [[nodiscard]] ProcessUsage usage() const;
  // What it last wrote of an error to its standard error, in one line.
  [[nodiscard]] std::string last_words();

 private:
  VmmProcess(log::Logger log, std::function<void(ProcessExit)> exited) : exited_(std::move(exited)), log_(std::move(log)) {}
  bool read_errors();
  void on_exit();

  std::function<void(ProcessExit)> exited_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd errors_;
  VmmLog log_;
  vmm::control::Socket control_;
  Watch exit_watch_;
  Watch errors_watch_;
};

}  // namespace adyton::service
