// The service as a whole: the event loop, the VMs, and the RPC server in front of them.
#pragma once
#include <memory>
#include <string>

#include "base/log/rate_limit.h"
#include "base/result.h"
#include "rpc/server.h"
#include "service/budget.h"
#include "service/call_queue.h"
#include "service/event_loop.h"
#include "service/host.h"
#include "service/metrics/call_metrics.h"
#include "service/metrics/collector.h"
#include "service/metrics/metrics_server.h"
#include "service/record_store.h"
#include "service/runtime_directory.h"
#include "service/service_object.h"
#include "service/settings.h"
#include "service/vm_table.h"

namespace adyton::service {

struct DaemonConfig {
  Settings settings;
  std::string vmm_program;
  std::string version;
  std::string runtime_directory;
  std::string data_directory;
};

// Threading: one thread, which must not be the loop's.
class Daemon {
 public:
  // Clients may connect from here on.
  static Result<std::unique_ptr<Daemon>> start(DaemonConfig config, ServiceSocket socket);
  // Ends every VM and session, and waits for all of it.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Returns when `signals` (a signalfd) is readable, or when nobody has needed the service for Settings::idle_exit.
  Result<void> run(int signals);

 private:
  Daemon(DaemonConfig config, ServiceSocket socket) : config_(std::move(config)), socket_(std::move(socket)) {}
  Result<void> set_up();
  Result<void> serve_metrics();
  [[nodiscard]] bool idle();
  // Whether the service was idle to the last, and nobody can find it any more.
  bool withdraw();

  const DaemonConfig config_;
  ServiceSocket socket_;
  UniqueFd listening_;  // a duplicate, to see who waits
  log::RateLimit stranger_limit_;
  log::RateLimit client_limit_;
  // In the order in which they are needed; they end in the reverse.
  CallQueues queues_;
  std::unique_ptr<EventLoop> loop_;
  std::shared_ptr<RecordStore> records_;
  std::shared_ptr<Budget> budget_;
  std::unique_ptr<VmTable> vms_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Foundation> foundation_;
  std::shared_ptr<CallMetrics> calls_ = std::make_shared<CallMetrics>();
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<Collector> collector_;
  std::vector<std::unique_ptr<MetricsServer>> metrics_;
};

}  // namespace adyton::service
