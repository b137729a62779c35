// Runs a payload in a virtual machine, shows what it writes, and exits with its code.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "adyton/adyton.h"

namespace {

// What happens is told on a thread of the library.
class Narrator : public adyton::VirtualMachineCallback {
 public:
  void onPayloadStarted(adyton::VirtualMachine& vm) override { std::fprintf(stderr, "%s: started\n", vm.getName().c_str()); }
  void onPayloadFinished(adyton::VirtualMachine& vm, int exit_code) override {
    std::fprintf(stderr, "%s: finished with %d\n", vm.getName().c_str(), exit_code);
  }
};

adyton::Result<int> run(const std::string& payload, std::vector<std::string> arguments) {
  const auto config = TRY(adyton::VirtualMachineConfig::Builder()
                              .setPayload(payload)
                              .setArguments(std::move(arguments))
                              .setMemoryBytes(256 << 20)
                              .setIsolation(adyton::IsolationLevel::kNone)
                              .setDebugLevel(adyton::DebugLevel::kFull)
                              .setVmOutputCaptured(true)
                              .build());
  const auto manager = TRY(adyton::VirtualMachineManager::connect());
  const auto vm = TRY(manager->createTemporary(config, "hello-payload-" + std::to_string(::getpid())));
  vm->setCallback(std::make_shared<Narrator>());
  TRY(vm->run());
  const adyton::UniqueFd log = TRY(vm->getLogOutput());
  char buffer[4096];
  for (ssize_t got; (got = ::read(log.get(), buffer, sizeof(buffer))) > 0;)
    std::fwrite(buffer, 1, static_cast<size_t>(got), stdout);
  const auto stopped = vm->waitForStop();
  if (const auto code = vm->getPayloadExitCode()) return *code;
  return adyton::fail(adyton::ErrorCode::kUnavailable, stopped->message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s PAYLOAD [ARGUMENTS...]\n", argv[0]);
    return 2;
  }
  const auto code = run(argv[1], {argv + 2, argv + argc});
  if (code) return *code;
  std::fprintf(stderr, "%s: %s\n", argv[0], code.error().message.c_str());
  return 125;
}
