// The arguments of adyton-extcap: any words, split at zero bytes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "tools/capture/extcap.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adyton::capture;
  static const char* const kWords[] = {"--extcap-interfaces", "--extcap-dlts",
                                       "--extcap-config",     "--capture",
                                       "--extcap-interface",  "--fifo",
                                       "adyton-vm",           "--port",
                                       "--snaplen",           "--extcap-capture-filter",
                                       "port 1 or port 2",    "--extcap-version"};
  std::vector<std::string> arguments;
  std::string word;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] >= 0xf0 && data[i] - 0xf0u < std::size(kWords)) {
      word += kWords[data[i] - 0xf0];  // reached too rarely by chance
    } else if (data[i] == 0) {
      arguments.push_back(std::move(word));
      word.clear();
    } else {
      word += static_cast<char>(data[i]);
    }
  }
  arguments.push_back(std::move(word));
  const auto command = parse_extcap(arguments);
  if (command) {
    if (command->ports.size() > 64) std::abort();
    // What is asked for later is a whole sentence, whatever the name.
    const std::string answer = extcap_interfaces({command->vm, arguments.back()}, "1");
    for (const char c : answer) {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') std::abort();
    }
  } else if (command.error().message.empty()) {
    std::abort();
  }
  return 0;
}
