// Starts a calculator in a virtual machine and calculates: typed calls into the guest, and calls back from it.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "adyton/adyton.h"
#include "com/example/calculator/ICalculator.h"
#include "com/example/calculator/ICalculatorListener.h"

namespace {

using adyton::rpc::Reply;
using com::example::calculator::ICalculator;
using com::example::calculator::ICalculatorListenerStub;

// Is called from the guest, while it serves a call of ours.
class Listener : public ICalculatorListenerStub {
 public:
  Reply<> onResult(const std::string& operation, int64_t result) override {
    std::printf("the guest says: %s gives %lld\n", operation.c_str(), static_cast<long long>(result));
    return {};
  }
};

adyton::Result<void> calculate(ICalculator& calculator) {
  TRY(calculator.setListener(std::make_shared<Listener>()));
  std::printf("19 + 23 = %lld\n", static_cast<long long>(TRY(calculator.add(19, 23))));
  std::printf("6 * 7 = %lld\n", static_cast<long long>(TRY(calculator.multiply(6, 7))));
  TRY(calculator.setListener(nullptr));
  std::vector<int64_t> numbers;
  for (int64_t i = 1; i <= 1000; ++i) numbers.push_back(i);
  std::printf("1 + ... + 1000 = %lld\n", static_cast<long long>(TRY(calculator.sum(numbers))));
  if (const auto undefined = calculator.divide(1, 0); !undefined) std::printf("1 / 0: %s\n", undefined.error().message().c_str());
  if (const auto overflow = calculator.multiply(INT64_MAX, 2); !overflow && overflow.error().service_specific_code() == ICalculator::ERROR_OVERFLOW) {
    std::printf("9223372036854775807 * 2: %s\n", overflow.error().message().c_str());
  }
  return {};
}

adyton::Result<void> run(const std::string& payload) {
  const auto config = TRY(adyton::VirtualMachineConfig::Builder()
                              .setPayload(payload)
                              .setMemoryBytes(256 << 20)
                              .setIsolation(adyton::IsolationLevel::kNone)
                              .build());
  const auto manager = TRY(adyton::VirtualMachineManager::connect());
  const auto vm = TRY(manager->createTemporary(config, "calculator-" + std::to_string(::getpid())));
  TRY(vm->run());
  TRY(vm->waitForReady());
  const auto calculator = ICalculator::from_binder(TRY(vm->connectToVsockServer(ICalculator::PORT)));
  TRY(calculate(*calculator));
  return vm->stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PAYLOAD\n", argv[0]);
    return 2;
  }
  const auto done = run(argv[1]);
  if (done) return 0;
  std::fprintf(stderr, "%s: %s\n", argv[0], done.error().message.c_str());
  return 1;
}
