// Why a VM has ended, from everything that was seen of its end.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "service/vm_types.h"
#include "service/vmm_process.h"
#include "vmm/control/protocol.h"

namespace adyton::service {

struct Evidence {
  std::optional<Death> intended;             // why we ended it
  std::optional<vmm::control::Ended> ended;  // what the VMM said
  std::optional<ProcessExit> exit;           // how its process ended
  bool started = false;                      // its CPUs ran
  bool app = false;
  std::string last_words;  // the last line of the VMM's standard error
  std::string console;     // the end of the serial console
};

Death explain(const Evidence& evidence);

// A guest's or VMM's text, fit for a terminal and for one line of at most 1 KiB.
std::string one_line(std::string_view text);

}  // namespace adyton::service
