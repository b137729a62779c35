// Runs one payload in eight virtual machines at once, each with its number as argument, and says how each ended.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "adyton/adyton.h"

namespace {

constexpr int kCount = 8;

std::string read_all(const adyton::UniqueFd& stream) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(stream.get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(got));
  return text;
}

adyton::Result<int> run(const std::string& payload, const std::vector<std::string>& arguments) {
  const auto manager = TRY(adyton::VirtualMachineManager::connect());
  std::vector<std::shared_ptr<adyton::VirtualMachine>> vms;
  std::vector<adyton::UniqueFd> logs;
  for (int i = 0; i < kCount; ++i) {
    auto all = arguments;
    all.push_back(std::to_string(i));
    const auto config = TRY(adyton::VirtualMachineConfig::Builder()
                                .setPayload(payload)
                                .setArguments(std::move(all))
                                .setMemoryBytes(128 << 20)
                                .setIsolation(adyton::IsolationLevel::kNone)
                                .setDebugLevel(adyton::DebugLevel::kFull)
                                .setVmOutputCaptured(true)
                                .build());
    vms.push_back(TRY(manager->createTemporary(config, "multi-" + std::to_string(::getpid()) + "-" + std::to_string(i))));
    TRY(vms.back()->run());
    logs.push_back(TRY(vms.back()->getLogOutput()));
  }
  int worst = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto index = static_cast<size_t>(i);
    const std::string text = read_all(logs[index]);
    const auto stopped = vms[index]->waitForStop();
    const int code = vms[index]->getPayloadExitCode().value_or(125);
    std::printf("%d: exit code %d, %s: %s", i, code, std::string(to_string(stopped->reason)).c_str(), text.c_str());
    worst = std::max(worst, code);
  }
  return worst;
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
