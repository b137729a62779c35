#include "vmm/control/server.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>

namespace adyton::vmm::control {

Result<void> ControlledVm::attach_debugger(UniqueFd, bool) {
  return fail(ErrorCode::kUnsupported, "this VM cannot be debugged: nobody may look into it");
}

Result<UniqueFd> ControlledVm::dump() { return fail(ErrorCode::kUnsupported, "this VM cannot be dumped: nobody may look into it"); }

Result<void> ControlledVm::keep_crash_reports(UniqueFd) {
  return fail(ErrorCode::kUnsupported, "there are no crash reports of this VM: nobody may look into it");
}

Result<void> ControlledVm::inspect() {
  return fail(ErrorCode::kUnsupported, "there are no crash reports of this VM: nobody may look into it");
}

Server::~Server() = default;

Result<void> Server::run() {
  end_signal_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end_signal_.valid()) return fail_errno("cannot make an eventfd");
  auto outcome = serve();
  vm_.reset();
  return outcome;
}

Result<void> Server::serve() {
  for (;;) {
    pollfd watched[2] = {{.fd = end_signal_.get(), .events = POLLIN, .revents = 0},
                         {.fd = socket_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(watched, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot wait for control messages");
    }
    if (watched[0].revents != 0) return {};
    auto packet = socket_.receive();
    if (!packet) {
      if (packet.error().code == ErrorCode::kUnavailable) return {};
      return std::unexpected(packet.error());
    }
    // One that lost descriptors is read as if it had all; it gets no further than to be refused.
    auto request = TRY(decode_request(packet->text, packet->lost_fds ? kMaxFds : packet->fds.size()));
    if (packet->lost_fds) {
      TRY(reply(request.id, fail(ErrorCode::kExhausted,
                                 "the VM's process has no file descriptors left; raise its limit "
                                 "(RLIMIT_NOFILE, ulimit -n)")));
      continue;
    }
    TRY(handle(std::move(request), std::move(packet->fds)));
  }
}

Result<void> Server::handle(Request request, std::vector<UniqueFd> fds) {
  if (const auto* body = std::get_if<Configure>(&request.body)) return acknowledge(request.id, configure(*body, std::move(fds)));
  if (std::holds_alternative<Start>(request.body)) return start(request.id);
  if (std::holds_alternative<Describe>(request.body)) {
    Description description = factory_.describe();
    description.id = request.id;
    return send(std::move(description));
  }
  if (const auto* body = std::get_if<Connect>(&request.body)) return reply(request.id, connect(*body, std::move(fds)));
  if (const auto* body = std::get_if<Answer>(&request.body)) {
    if (started_) vm_->answer(body->question, body->socket ? std::move(fds[*body->socket]) : UniqueFd());
    return reply(request.id, UniqueFd());
  }
  if (const auto* body = std::get_if<Capture>(&request.body)) return reply(request.id, capture(*body, std::move(fds)));
  if (const auto* body = std::get_if<Trace>(&request.body)) return reply(request.id, trace(*body, std::move(fds)));
  if (const auto* body = std::get_if<SetBalloon>(&request.body)) {
    if (!vm_) return reply(request.id, fail(ErrorCode::kInvalidArgument, "the VM is not configured"));
    vm_->set_balloon(body->bytes);
    return reply(request.id, UniqueFd());
  }
  if (std::holds_alternative<ReadStatistics>(request.body)) {
    if (!vm_) return reply(request.id, fail(ErrorCode::kInvalidArgument, "the VM is not configured"));
    Statistics statistics = vm_->statistics();
    statistics.id = request.id;
    return send(std::move(statistics));
  }
  if (const auto* body = std::get_if<AttachDebugger>(&request.body))
    return acknowledge(request.id, attach_debugger(*body, std::move(fds)));
  if (const auto* body = std::get_if<Listen>(&request.body)) return acknowledge(request.id, listen(*body));
  if (std::holds_alternative<Suspend>(request.body)) return acknowledge(request.id, set_suspended(true));
  if (std::holds_alternative<Resume>(request.body)) return acknowledge(request.id, set_suspended(false));
  if (!std::holds_alternative<Stop>(request.body)) return reply(request.id, look_inside(request, std::move(fds)));
  TRY(reply(request.id, UniqueFd()));
  ended(EndReason::kStopped, "");
  return {};
}

Result<UniqueFd> Server::look_inside(const Request& request, std::vector<UniqueFd> fds) {
  if (const auto* body = std::get_if<CrashReports>(&request.body)) {
    if (!vm_ || started_) return fail(ErrorCode::kInvalidArgument, "crash reports are asked for between configure and start");
    TRY(vm_->keep_crash_reports(std::move(fds[body->memory])));
    return UniqueFd();
  }
  if (!started_) return fail(ErrorCode::kInvalidArgument, "the VM does not run");
  if (std::holds_alternative<Dump>(request.body)) return vm_->dump();
  TRY(vm_->inspect());
  return UniqueFd();
}

Result<void> Server::configure(const Configure& configuration, std::vector<UniqueFd> fds) {
  if (vm_) return fail(ErrorCode::kInvalidArgument, "the VM is configured already");
  vm_ = TRY(factory_.create(configuration, std::move(fds), *this));
  return {};
}

Result<void> Server::start(uint32_t id) {
  if (!vm_) return reply(id, fail(ErrorCode::kInvalidArgument, "the VM is not configured"));
  if (started_) return reply(id, fail(ErrorCode::kInvalidArgument, "the VM runs already"));
  started_ = true;
  // Answered before the guest runs: it may end at once, and `ended` is the last message.
  TRY(reply(id, UniqueFd()));
  if (auto done = vm_->start(); !done) ended(EndReason::kInternalError, done.error().message);
  return {};
}

Result<void> Server::attach_debugger(const AttachDebugger& request, std::vector<UniqueFd> fds) {
  if (!vm_) return fail(ErrorCode::kInvalidArgument, "the VM is not configured");
  if (request.hold && started_) return fail(ErrorCode::kInvalidArgument, "the VM runs already: it cannot wait for a debugger");
  return vm_->attach_debugger(std::move(fds[request.listener]), request.hold);
}

Result<UniqueFd> Server::connect(const Connect& what, std::vector<UniqueFd> fds) {
  if (!started_) return fail(ErrorCode::kInvalidArgument, "the VM does not run");
  if (!what.socket) return vm_->connect(what.port, what.type);
  vm_->connect_hybrid(what.port, std::move(fds[*what.socket]));
  return UniqueFd();
}

Result<UniqueFd> Server::capture(const Capture& what, std::vector<UniqueFd> fds) {
  if (!vm_) return fail(ErrorCode::kInvalidArgument, "the VM is not configured");
  return vm_->capture(std::move(fds[what.ring]), what);
}

Result<void> Server::listen(const Listen& what) {
  if (!vm_) return fail(ErrorCode::kInvalidArgument, "the VM is not configured");
  return vm_->listen(what.port, what.type);
}

Result<void> Server::set_suspended(bool suspended) {
  if (!started_) return fail(ErrorCode::kInvalidArgument, "the VM does not run");
  return suspended ? vm_->suspend() : vm_->resume();
}

Result<void> Server::acknowledge(uint32_t id, const Result<void>& outcome) {
  return outcome ? reply(id, UniqueFd()) : reply(id, std::unexpected(outcome.error()));
}

Result<UniqueFd> Server::trace(const Trace& what, std::vector<UniqueFd> fds) {
  if (!vm_) return fail(ErrorCode::kInvalidArgument, "the VM is not configured");
  return vm_->trace(std::move(fds[what.rings]), what);
}

Result<void> Server::reply(uint32_t id, Result<UniqueFd> outcome) {
  Reply message{.id = id, .error = {}};
  if (!outcome) message.error = outcome.error();
  const int fd = outcome ? outcome->get() : -1;
  return send(message, fd >= 0 ? std::span(&fd, 1) : std::span<const int>());
}

Result<void> Server::send(const Event& event, std::span<const int> fds) {
  const std::string text = TRY(encode(event));
  std::lock_guard lock(send_mutex_);
  if (end_sent_) return {};
  end_sent_ = std::holds_alternative<Ended>(event);
  return socket_.send(text, fds);
}

void Server::accepted(const Accepted& what, UniqueFd socket) {
  const int fd = socket.get();
  // A client that is gone shows on the receiving side; the socket closes here either way.
  (void)send(what, std::span(&fd, 1));
}

void Server::asked(const Asked& question) { (void)send(question); }

void Server::ended(EndReason reason, std::string message) {
  (void)send(Ended{.reason = reason, .message = std::move(message)});
  const uint64_t one = 1;
  (void)!::write(end_signal_.get(), &one, sizeof(one));
}

}  // namespace adyton::vmm::control
