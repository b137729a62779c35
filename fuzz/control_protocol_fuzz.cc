// The control socket's messages, in both directions: any text beside any number of descriptors. What is accepted is encoded again
// and must survive that.
#include <cstdlib>

#include "vmm/control/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton::vmm::control;
  if (size == 0) return 0;
  const size_t fds = data[0] % (kMaxFds + 1);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (auto request = decode_request(text, fds)) {
    // Escapes may have made the text shorter than it is when it is written out: only then is it too big to encode.
    const auto again = encode(*request);
    const auto back = again ? decode_request(*again, fds) : request;
    if (!back || !(*back == *request)) std::abort();
  }
  if (auto event = decode_event(text, fds)) (void)encode(*event);
  return 0;
}
