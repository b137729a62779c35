// What a VirtualMachine holds.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "adyton/virtual_machine.h"
#include "sdk/connection.h"
#include "sdk/prepare.h"
#include "sdk/vm_run.h"

namespace adyton {

class VirtualMachine::Impl {
 public:
  // One of them is not there: a VM without record has a configuration of its own, one that was found by its name may have none.
  Impl(std::shared_ptr<sdk::Connection> connection, std::string name, bool persistent, std::optional<VirtualMachineConfig> config)
      : connection_(std::move(connection)), name_(std::move(name)), persistent_(persistent), config_(std::move(config)) {}

  // Prepared files instead of a configuration, each time it is run: for the C interface.
  using Source = std::function<Result<sdk::PreparedVm>()>;
  void set_source(Source source) { source_ = std::move(source); }
  // Of a VM without record; zeros: it has no identity.
  void set_instance_id(const std::array<uint8_t, 64>& id) { instance_id_ = id; }

  // Watches a VM that runs already. `self` is the owner of this.
  Result<void> attach(const std::shared_ptr<VirtualMachine>& self, std::shared_ptr<virtualizationservice::IVirtualMachine> vm);

  Result<void> run(const std::shared_ptr<VirtualMachine>& self, RunOptions options);
  void deliver(std::shared_ptr<VirtualMachine> self, sdk::VmEvent event);
  void mark_deleted();

  // The last or present run; null before the first.
  std::shared_ptr<sdk::VmRun> last_run();
  // The present run; kUnavailable if there is none.
  Result<std::shared_ptr<sdk::VmRun>> live_run();
  Result<VirtualMachineConfig> current_config();
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend class VirtualMachine;

  Result<sdk::PreparedVm> prepare_files(const std::optional<VirtualMachineConfig>& config, const RunOptions& options);
  // Starts the VM of `run`, which becomes the present one for what is done before its first instruction.
  Result<void> begin(const std::shared_ptr<VirtualMachine>& self, const std::shared_ptr<sdk::VmRun>& run,
                     const RunOptions& options);
  struct Listening {
    std::shared_ptr<const std::function<void(UniqueFd)>> accept;
    VsockType type = VsockType::kStream;
  };
  Result<void> listen(sdk::VmRun& run, uint32_t port, const Listening& listening);

  const std::shared_ptr<sdk::Connection> connection_;
  const std::string name_;
  const bool persistent_;
  Source source_;
  std::array<uint8_t, 64> instance_id_{};

  std::mutex run_mutex_;  // held while a run is prepared and started; taken before mutex_
  std::mutex mutex_;      // of what follows; nothing is called with it
  std::optional<VirtualMachineConfig> config_;
  bool deleted_ = false;
  std::shared_ptr<sdk::VmRun> run_;
  std::optional<int> preparation_exit_code_;
  std::shared_ptr<VirtualMachineCallback> callback_;
  Executor executor_;
  std::map<uint32_t, Listening> listeners_;
};

}  // namespace adyton
