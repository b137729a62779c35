// Lines of a VM's process on their way into the service's log, in pieces that the first byte chooses.
#include <cstdlib>

#include "base/log/testing.h"
#include "fuzz/fuzz_input.h"
#include "service/vmm_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton;
  if (size == 0) return 0;
  log::CapturedLog captured;
  service::VmmLog vmm_log(log::Logger("vm", {{"vm", "demo"}}));
  const size_t piece = size_t{data[0]} + 1;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (!rest.empty()) {
    vmm_log.take(rest.substr(0, piece));
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  vmm_log.finish();
  for (const std::string& line : captured.lines()) {
    if (line.size() >= log::Line::kCapacity || line.find(" vm=demo") == std::string::npos) std::abort();
    for (const char c : line) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
  }
  return 0;
}
