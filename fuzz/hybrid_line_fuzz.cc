// The first line of a client of the hybrid vsock socket, in pieces of any size.
#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz/fuzz_input.h"
#include "vmm/hybrid/connect_line.h"

using adyton::fuzz::FuzzInput;
using adyton::fuzz::require;
using adyton::vmm::hybrid::ConnectLine;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  std::string text;
  // Most of what is only random says nothing new: words of the protocol among it.
  static constexpr std::string_view kWords[] = {"CONNECT", "connect ", " ", "\n", "\r\n", "4294967295", "4294967296", "0", "\t"};
  while (!input.empty() && text.size() < 200) {
    if (input.below(3)) {
      text += kWords[input.below(std::size(kWords))];
    } else {
      text += static_cast<char>(input.take<uint8_t>());
    }
  }
  ConnectLine whole;
  const size_t taken = whole.take(text);
  require(taken <= text.size());
  // The pieces do not matter, nor is anything taken after the line.
  ConnectLine pieces;
  size_t at = 0;
  uint64_t step = size;
  while (at < text.size() && pieces.state() == ConnectLine::State::kIncomplete) {
    step = step * 6364136223846793005u + 1442695040888963407u;
    const size_t part = std::min<size_t>(1 + (step >> 33) % 9, text.size() - at);
    at += pieces.take(std::string_view(text).substr(at, part));
    require(at <= text.size());
  }
  require(pieces.state() == whole.state());
  if (whole.state() == ConnectLine::State::kComplete) {
    require(at == taken && text[taken - 1] == '\n' && taken <= ConnectLine::kMaxLine);
    require(pieces.port() == whole.port());
    require(adyton::vmm::hybrid::parse_connect(std::string_view(text).substr(0, taken - 1)) == whole.port());
  }
  if (whole.state() == ConnectLine::State::kIncomplete) require(text.size() < ConnectLine::kMaxLine);
  return 0;
}
