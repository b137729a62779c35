// The control connection between host and guest: any bytes, in pieces of any size.
#include <cstdlib>

#include "guest/exec_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton::guest;
  if (size == 0) return 0;
  std::span<const uint8_t> input(data, size);
  const size_t piece = input[0] + size_t{1};
  input = input.subspan(1);
  // A body alone, so that every input reaches a decoder.
  if (!input.empty()) {
    const auto message = decode_body(input[0] % 24, input.subspan(1));
    if (message && !encode(*message)) std::abort();  // what can be decoded can be encoded
  }
  MessageReader reader;
  while (!input.empty()) {
    const size_t count = std::min(piece, input.size());
    reader.append(input.first(count));
    input = input.subspan(count);
    for (;;) {
      const auto message = reader.next();
      if (!message || !*message) break;
    }
  }
  return 0;
}
