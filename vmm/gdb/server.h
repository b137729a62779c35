// Serves debuggers, one after the other, on a listening socket that it is given. One thread, which exists before the guest runs and sleeps until it is
// given one.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/gdb/session.h"
#include "vmm/machine.h"

namespace adyton::vmm::gdb {

class Server {
 public:
  // `machine` outlives the server, and has ended when stop() is called.
  static Result<std::unique_ptr<Server>> create(Machine& machine);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts the thread, "gdb".
  Result<void> start();
  void stop();

  // Debuggers may connect to `listener`, a listening stream socket, from now on. It takes the place of the one before; kUnavailable while a debugger is
  // connected. Any thread.
  Result<void> listen(UniqueFd listener);

 private:
  class MachineTarget;
  Server(Machine& machine, UniqueFd wake);
  void serve();
  void serve_client(UniqueFd client);
  // Until `fd` can be read (or written, when there is something to write) or somebody called; false: stop() was.
  bool wait(int fd, bool also_writable);
  void call();

  Machine& machine_;
  std::unique_ptr<MachineTarget> target_;
  UniqueFd wake_;  // eventfd
  std::mutex mutex_;
  UniqueFd listener_, next_listener_;
  bool connected_ = false, stopping_ = false;
  std::jthread thread_;
};

}  // namespace adyton::vmm::gdb
