// Sends a VM's memory and registers as an ELF core to whoever asked for it. One thread, which exists before the guest runs and
// sleeps until there is something to do. All vCPUs stand still meanwhile; a client that takes nothing for as long as its patience is left
// alone, so that it cannot stop a VM for good.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/machine.h"

namespace adyton::vmm::inspect {

class Dumper {
 public:
  static constexpr std::chrono::milliseconds kPatience{10'000};

  // `machine` outlives the dumper.
  static Result<std::unique_ptr<Dumper>> create(Machine& machine, std::chrono::milliseconds patience = kPatience);
  ~Dumper();
  Dumper(const Dumper&) = delete;
  Dumper& operator=(const Dumper&) = delete;

  // Starts the thread, "dump".
  Result<void> start();
  // Ends a dump that is under way.
  void stop();

  // Begins one; the other end of the stream (observe/dump_stream.h). kUnavailable while there is one. Any thread.
  Result<UniqueFd> dump();

 private:
  Dumper(Machine& machine, UniqueFd wake, std::chrono::milliseconds patience);
  void serve();
  void send_core(int client);
  // False: the client is gone or asleep, or the VM is to end.
  bool send(int client, std::span<const uint8_t> bytes);
  bool send_piece(int client, uint64_t offset, std::span<const uint8_t> bytes);
  [[nodiscard]] bool stopping();

  Machine& machine_;
  const std::chrono::milliseconds patience_;
  UniqueFd wake_;  // eventfd
  std::mutex mutex_;
  UniqueFd client_;
  bool busy_ = false, stopping_ = false;
  std::jthread thread_;
};

}  // namespace adyton::vmm::inspect
