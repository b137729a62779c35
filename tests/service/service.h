// An adytond of a test's own, with folders of its own, and clients of it.
#pragma once
#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adyton/virtualizationservice/IVirtualMachine.h"
#include "adyton/virtualizationservice/IVirtualMachineCallback.h"
#include "adyton/virtualizationservice/IVirtualizationService.h"
#include "adyton/virtualizationservice/IVsockListener.h"
#include "base/unique_fd.h"
#include "rpc/session.h"

namespace adyton::service_tests {

namespace aidl = virtualizationservice;

std::string fake_vmm();
std::string real_vmm();
UniqueFd raw_kernel();  // greets with "raw> ", echoes; 'o' powers off, 'r' resets, 'p' panics, 'm' reads where no device is

class Service {
 public:
  // A test that never starts one is fine.
  Service();
  ~Service();  // ends it, and removes its folders
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Returns when clients may connect. Without "--vmm" it runs the fake one.
  // `errors` is its standard error, if given.
  void start(std::vector<std::string> options = {}, std::vector<std::string> environment = {}, int errors = -1);
  // Waits for its end, and returns its exit status, or minus its signal.
  int wait();
  int stop(int signal);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string socket() const { return folder_ + "/run/adytond.sock"; }
  [[nodiscard]] std::string records() const { return folder_ + "/data/adyton/vm"; }
  [[nodiscard]] std::string folder() const { return folder_; }

  // --- What it has open and running.
  [[nodiscard]] size_t fds() const;
  [[nodiscard]] size_t threads() const;
  [[nodiscard]] uint64_t resident() const;  // bytes
  // Processes with this service's environment: itself and its VMs, also when it is dead.
  [[nodiscard]] std::vector<pid_t> processes() const;
  // Waits until `condition` holds, which a change somewhere else in the system brings about.
  static void wait_until(const std::function<bool()>& condition);

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

class Callback final : public aidl::IVirtualMachineCallbackStub {
 public:
  rpc::Reply<> onPayloadStarted(int32_t cid) override;
  rpc::Reply<> onPayloadReady(int32_t cid) override;
  rpc::Reply<> onPayloadFinished(int32_t cid, int32_t exit_code) override;
  rpc::Reply<> onError(int32_t cid, virtualizationcommon::ErrorCode code, const std::string& message) override;
  rpc::Reply<> onDied(int32_t cid, virtualizationcommon::DeathReason reason, const std::string& message) override;

  std::vector<std::string> events();
  void wait_for(const std::string& event);
  virtualizationcommon::DeathReason wait_for_death();

 private:
  rpc::Reply<> add(std::string event);
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::optional<virtualizationcommon::DeathReason> reason_;
};

class Listener final : public aidl::IVsockListenerStub {
 public:
  rpc::Reply<> onVsockConnection(int32_t port, const UniqueFd& stream) override;
  UniqueFd wait_for(int32_t port);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<int32_t, UniqueFd>> streams_;
};

struct Client {
  explicit Client(const Service& service);
  ~Client() = default;  // no shutdown_and_wait(): the session ends because nobody uses it any more
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  std::shared_ptr<rpc::Session> session;
  std::shared_ptr<aidl::IVirtualizationService> service;
};

// The fake VMM takes its orders from the kernel's command line (service/testing/fake_vmm.cc).
aidl::VirtualMachineConfig raw_config(const std::string& params, const std::string& name = {});
aidl::VirtualMachineConfig app_config(std::vector<std::string> argv, const std::string& name = {});
aidl::VirtualMachineRawConfig& machine_of(aidl::VirtualMachineConfig& config);

std::string read_exactly(int fd, size_t size);
std::string read_all(int fd);
std::string read_until(int fd, const std::string& text);

}  // namespace adyton::service_tests
