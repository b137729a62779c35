// The VM of one `adyton run`, as its session sees it: an adyton-vmm process of ours, or a VM of the service.
#pragma once
#include <poll.h>

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/terminal.h"
#include "cli/timeline.h"

namespace adyton::cli {

// Its CPUs run; the guest boots.
struct VmBooting {};
// The guest's init is there and prepares the payload.
struct PayloadStarting {};
struct PayloadStarted {};
// How the VM's start went, once the payload runs; if it was asked for.
struct BootTimeline {
  std::vector<BootPhase> phases;
};
// One of the payload's streams (guest/exec_protocol.h).
struct PayloadStream {
  uint32_t port = 0;
  UniqueFd stream;
};
// All of its output is on its way through the streams. Not executed: the streams may never come.
struct PayloadEnded {
  int exit_code = 0;
  std::string message;
  bool executed = true;
};
// The guest's init is gone, before the VM.
struct GuestLeft {};
// Why the VM ends. `failed`: not because the guest powered off.
struct VmEnds {
  std::string message;
  bool failed = true;
};
// Nothing more comes.
struct VmGone {};
// It cannot be gone on with.
struct VmBroken {
  std::string message;
};
using VmEvent = std::variant<VmBooting, PayloadStarting, PayloadStarted, BootTimeline, PayloadStream, PayloadEnded, GuestLeft,
                             VmEnds, VmGone, VmBroken>;

// Threading: one thread. The destructor ends the VM.
class VmHandle {
 public:
  virtual ~VmHandle() = default;

  virtual Result<void> start() = 0;
  virtual void watch(std::vector<pollfd>& polls) const = 0;
  // `polls` is what watch() added to, after poll().
  virtual std::vector<VmEvent> step(std::span<const pollfd> polls) = 0;

  // To a payload that runs.
  virtual Result<void> signal(int number) = 0;
  virtual Result<void> resize(const TerminalSize& size) = 0;
  // All of its output has been read: the guest may power off, or, if nobody waits for that, be ended.
  virtual void release(bool power_off) = 0;
};

}  // namespace adyton::cli
