// Is the KVM of this machine worth using? The presence of /dev/kvm says little: nested and para-virtualized variants exist that
// run a guest hundreds of times too slowly. So a tiny guest is run and measured.
#pragma once
#include <cstdint>
#include <string>

namespace adyton::hypervisor {

struct KvmReport {
  enum class State : uint8_t {
    kAbsent,        // no /dev/kvm
    kNoPermission,  // there, but not for us
    kBroken,        // it does not run a guest
    kSlow,          // it does, far slower than the CPU would
    kUsable,
  } state = State::kAbsent;
  std::string reason;            // a sentence for the person
  double loop_ratio = 0;         // time of a loop in the guest / time of the same loop here; 0: not measured
  double exit_microseconds = 0;  // time of one exit to user space and back; 0: not measured
};

// Takes at most about two seconds.
KvmReport probe_kvm();

// The verdict on the two measurements.
KvmReport judge_kvm(double loop_ratio, double exit_microseconds);

}  // namespace adyton::hypervisor
