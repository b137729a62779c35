// RpcBinder from the host into a guest, over vsock.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "adyton/adyton.h"
#include "bench/rpc/binder_service.h"
#include "bench/rpc/system.h"
#include "rpc/session.h"

namespace adyton::bench {
namespace {

template <typename T>
T need(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

class VmSystem final : public System {
 public:
  VmSystem(std::shared_ptr<VirtualMachine> vm, std::unique_ptr<System> calls) : vm_(std::move(vm)), calls_(std::move(calls)) {}
  ~VmSystem() override {
    calls_.reset();
    (void)vm_->kill();
  }
  int32_t add(int32_t a, int32_t b) override { return calls_->add(a, b); }
  size_t take(const std::string& bytes) override { return calls_->take(bytes); }
  size_t give(size_t size) override { return calls_->give(size); }
  std::optional<std::string> echo(const std::string& line) override { return calls_->echo(line); }

 private:
  std::shared_ptr<VirtualMachine> vm_;
  std::unique_ptr<System> calls_;
};

}  // namespace

std::unique_ptr<System> connect_vm(const std::string& folder) {
  // A service of its own, which ends soon after us.
  std::filesystem::create_directories(folder + "/config/adyton");
  std::ofstream(folder + "/config/adyton/adytond.toml") << "idle_exit = 1\n";
  ::setenv("XDG_CONFIG_HOME", (folder + "/config").c_str(), 1);
  ::setenv("XDG_DATA_HOME", (folder + "/data").c_str(), 1);
  const auto manager = need(VirtualMachineManager::connect({.runtime_directory = folder + "/run"}));
  const auto config = need(VirtualMachineConfig::Builder()
                               .setPayload(ADYTON_RPC_BENCH_GUEST)
                               .setIsolation(IsolationLevel::kNone)
                               .setCpuCount(2)
                               .build());
  auto vm = need(manager->createTemporary(config));
  if (auto started = vm->run(); !started) give_up(started.error().message);
  const auto port = [vm](uint32_t number) {
    return [vm, number]() -> Result<UniqueFd> {
      for (;;) {
        auto stream = vm->connectVsock(number);
        // Until the payload listens.
        if (stream || vm->waitForStop(std::chrono::milliseconds(20))) return stream;
      }
    };
  };
  auto calls = binder_over(port(kCallsPort), port(kEchoPort), rpc::FdPassing::kNone);
  return std::make_unique<VmSystem>(std::move(vm), std::move(calls));
}

}  // namespace adyton::bench
