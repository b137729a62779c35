#include "vmm/gdb/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/thread.h"

namespace adyton::vmm::gdb {
namespace {

// Somebody who does not take his answers has that much of them waiting and is then left alone.
constexpr size_t kMostOutput = 256 * 1024;

constexpr unsigned kSigAbrt = 6, kSigKill = 9;

}  // namespace

class Server::MachineTarget final : public Target {
 public:
  explicit MachineTarget(Machine& machine) : machine_(machine) {}
  const std::vector<hypervisor::Vcpu*>& vcpus() override { return machine_.vcpus(); }
  const hypervisor::Capabilities& capabilities() override { return machine_.vm().capabilities(); }
  const GuestMemory& memory() override { return machine_.memory(); }
  void memory_written(GuestPhysAddr address, uint64_t size) override { machine_.vm().memory_written(address, size); }
  void hold() override { machine_.hold(); }
  void release(const std::vector<bool>& which) override { machine_.release(which); }
  void kill() override { machine_.end_now(); }
  std::optional<Stop> stop() override {
    const auto stop = machine_.debug_stop();
    if (!stop) return std::nullopt;
    return Stop{stop->vcpu, stop->exit};
  }
  std::optional<End> end() override {
    const auto end = machine_.ended();
    if (!end) return std::nullopt;
    switch (end->reason) {
      case Machine::EndReason::kShutdown:
      case Machine::EndReason::kReset: return End{};
      case Machine::EndReason::kStopped: return End{kSigKill};
      case Machine::EndReason::kCrash:
      case Machine::EndReason::kWatchdog:
      case Machine::EndReason::kInternalError: break;
    }
    return End{kSigAbrt};
  }

 private:
  Machine& machine_;
};

Result<std::unique_ptr<Server>> Server::create(Machine& machine) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno("cannot make an eventfd for the debugger");
  return std::unique_ptr<Server>(new Server(machine, std::move(wake)));
}

Server::Server(Machine& machine, UniqueFd wake)
    : machine_(machine), target_(std::make_unique<MachineTarget>(machine)), wake_(std::move(wake)) {}

Server::~Server() { stop(); }

Result<void> Server::start() {
  thread_ = TRY(start_thread("gdb", [this] { serve(); }));
  return {};
}

void Server::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  call();
  thread_.join();
}

void Server::call() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

Result<void> Server::listen(UniqueFd listener) {
  std::lock_guard lock(mutex_);
  if (connected_) return fail(ErrorCode::kUnavailable, "a debugger is connected to this VM; it has to detach first");
  next_listener_ = std::move(listener);
  call();
  return {};
}

bool Server::wait(int fd, bool also_writable) {
  pollfd watched[2] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                       {.fd = fd, .events = static_cast<short>(POLLIN | (also_writable ? POLLOUT : 0)), .revents = 0}};
  while (::poll(watched, 2, -1) < 0 && errno == EINTR) {
  }
  uint64_t count = 0;
  if (watched[0].revents != 0) (void)!::read(wake_.get(), &count, sizeof count);
  std::lock_guard lock(mutex_);
  return !stopping_;
}

void Server::serve() {
  int listener = -1;  // poll() takes no notice of a negative one
  while (wait(listener, false)) {
    {
      std::lock_guard lock(mutex_);
      if (next_listener_.valid()) {
        listener_ = std::move(next_listener_);
        listener = listener_.get();
      }
    }
    if (listener < 0) continue;
    pollfd readable{.fd = listener, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 0) <= 0) continue;
    UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client.valid()) {
      if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) continue;
      listener = -1;  // it will not get better
      continue;
    }
    serve_client(std::move(client));
  }
}

void Server::serve_client(UniqueFd client) {
  {
    std::lock_guard lock(mutex_);
    connected_ = true;
  }
  machine_.set_debugger([this] { call(); });
  {
    Session session(*target_);
    std::string output;
    std::array<char, 4096> input{};
    bool go_on = true;
    while (go_on) {
      go_on = wait(client.get(), !output.empty());
      const ssize_t got = ::recv(client.get(), input.data(), input.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
      if (got > 0) session.receive(std::string_view(input.data(), static_cast<size_t>(got)));
      session.check();
      output += session.take_output();
      const ssize_t sent = output.empty() ? 0 : ::send(client.get(), output.data(), output.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) break;
      if (sent > 0) output.erase(0, static_cast<size_t>(sent));
      if (output.size() > kMostOutput) break;
      if (session.over() && output.empty()) break;
    }
    if (session.kill()) target_->kill();
    // A debugger that is gone without a word has detached.
  }
  machine_.set_debugger({});
  std::lock_guard lock(mutex_);
  connected_ = false;
}

}  // namespace adyton::vmm::gdb
