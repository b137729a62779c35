#include "service/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "base/log/logger.h"
#include "service/call_observers.h"

namespace adyton::service {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

const log::Logger kLog("service");

rpc::ServerOptions server_options(std::shared_ptr<rpc::CallObserver> observer) {
  rpc::ServerOptions options;
  options.on_bad_peer = [limit = std::make_shared<log::RateLimit>()](const rpc::Caller& peer, const Error& error) {
    kLog.warning(*limit, {{"client", peer.pid}, {"uid", peer.uid}}, "a client is turned away: {}", error.message);
  };
  options.max_threads = 8;
  options.allow_fds = true;
  options.max_body_size = kMaxRpcBody;
  options.max_client_threads = 8;
  options.send_timeout = 10s;
  options.observer = std::move(observer);
  return options;
}

// What another user finds here.
class Refusal final : public rpc::LocalBinder {
 public:
  std::string interface_descriptor() override { return std::string(virtualizationservice::IVirtualizationService::kDescriptor); }
  rpc::Status on_transact(uint32_t, const rpc::Parcel&, rpc::Parcel* reply, uint32_t) override {
    return reply->write_status(rpc::Status::from_exception(
        rpc::Exception::kSecurity,
        fmt::format("this is the virtualization service of user {}, who alone may use it", ::geteuid())));
  }
};

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::start(DaemonConfig config, ServiceSocket socket) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(socket)));
  TRY(daemon->set_up());
  return daemon;
}

Result<void> Daemon::set_up() {
  loop_ = TRY(EventLoop::start());
  records_ = TRY(RecordStore::open(config_.data_directory));
  budget_ = Budget::make(config_.settings.limits);
  vms_ = std::make_unique<VmTable>(*loop_, config_.vmm_program, config_.runtime_directory + "/last-cid", budget_, records_);
  remove_stale_vm_sockets(config_.runtime_directory);
  vms_->set_vsock_directory(config_.runtime_directory);
  host_ = std::make_unique<Host>(*loop_, config_.vmm_program, config_.version);
  auto janitor = TRY(queues_.make("janitor"));
  server_ = std::make_unique<rpc::Server>(server_options(std::make_shared<ClientCallObserver>(calls_)));
  foundation_ = std::make_unique<Foundation>(Foundation{.loop = *loop_,
                                                        .queues = queues_,
                                                        .janitor = std::move(janitor),
                                                        .vms = *vms_,
                                                        .budget = budget_,
                                                        .records = records_,
                                                        .host = *host_,
                                                        .client_count = [this] { return server_->session_count(); },
                                                        .calls = calls_,
                                                        .version = config_.version});
  auto root = std::make_shared<ServiceObject>(*foundation_);
  auto refusal = std::make_shared<Refusal>();
  server_->set_root_factory([this, root, refusal](const rpc::Caller& caller) -> std::shared_ptr<rpc::Binder> {
    if (caller.uid != ::geteuid()) {
      kLog.warning(stranger_limit_, {{"client", caller.pid}, {"uid", caller.uid}}, "another user's program is turned away");
      return refusal;
    }
    kLog.debug(client_limit_, {{"client", caller.pid}}, "a client has connected");
    return root;
  });
  TRY(serve_metrics());
  listening_.reset(::fcntl(socket_.fd(), F_DUPFD_CLOEXEC, 3));
  if (!listening_.valid()) return fail_errno("cannot use the service's socket");
  return server_->serve(socket_.take());
}

Result<void> Daemon::serve_metrics() {
  collector_ = std::make_unique<Collector>(Collector::Sources{.loop = *loop_,
                                                              .vms = *vms_,
                                                              .calls = calls_,
                                                              .client_count = [this] { return server_->session_count(); },
                                                              .version = config_.version});
  const auto serve = [this](UniqueFd listening) -> Result<void> {
    return loop_->call([&]() -> Result<void> {
      metrics_.push_back(TRY(MetricsServer::start(
          *loop_, std::move(listening), [this](MetricsServer::Deliver deliver) { collector_->collect(std::move(deliver)); })));
      return {};
    });
  };
  UniqueFd on_path = TRY(listen_on_path(config_.runtime_directory + "/" + kMetricsSocketName));
  TRY(serve(std::move(on_path)));
  if (!config_.settings.metrics_port) return {};
  UniqueFd on_port = TRY(listen_on_loopback(*config_.settings.metrics_port));
  return serve(std::move(on_port));
}

Daemon::~Daemon() {
  socket_.remove();
  // While clients can still hear of it.
  if (vms_) {
    loop_->await<bool>([&](auto done) { vms_->kill_all([done] { done(true); }); });
  }
  if (!metrics_.empty()) ::unlink((config_.runtime_directory + "/" + kMetricsSocketName).c_str());
  if (loop_) loop_->call([&] { metrics_.clear(); });
  // Ends the sessions, and with them the clients' references, whose ends are tasks of the loop.
  if (server_) {
    server_->shutdown();
    server_.reset();
  }
  if (loop_) loop_->call([&] { vms_.reset(); });
  foundation_.reset();
  // What a queue still does may end a guest's session, which is told to the loop.
  queues_.wait();
  loop_.reset();
}

bool Daemon::idle() {
  return server_->session_count() == 0 && server_->connection_count() == 0 && loop_->call([&] { return vms_->empty(); });
}

bool Daemon::withdraw() {
  socket_.hide();
  // Whoever connected before that still counts.
  pollfd waiting{.fd = listening_.get(), .events = POLLIN, .revents = 0};
  if (idle() && ::poll(&waiting, 1, 0) == 0 && idle()) return true;
  socket_.show();
  return false;
}

Result<void> Daemon::run(int signals) {
  const Limits& limits = config_.settings.limits;
  kLog.info({{"version", config_.version},
             {"max_vms", limits.vms},
             {"max_cpus", limits.cpus},
             {"max_memory", limits.memory},
             {"vmm", config_.vmm_program}},
            "serves clients at {}", config_.runtime_directory);
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(config_.settings.idle_exit);
  const auto interval = std::clamp<std::chrono::milliseconds>(patience / 10, 10ms, 5s);
  auto busy_at = Clock::now();
  for (;;) {
    pollfd watched{.fd = signals, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&watched, 1, patience.count() == 0 ? -1 : static_cast<int>(interval.count()));
    if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for signals");
    if (ready > 0) {
      kLog.info({}, "ends, as it was told to");
      return {};
    }
    if (!idle()) {
      busy_at = Clock::now();
    } else if (Clock::now() - busy_at >= patience && withdraw()) {
      kLog.info({}, "ends, as nobody needs it");
      return {};
    }
  }
}

}  // namespace adyton::service
