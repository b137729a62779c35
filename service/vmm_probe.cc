#include "service/vmm_probe.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include "service/death.h"
#include "service/vmm_process.h"

namespace adyton::service {
namespace {

using namespace vmm::control;

// Lives until it has called `done`.
struct Probe : std::enable_shared_from_this<Probe> {
  std::function<void(Result<Description>)> done;
  std::unique_ptr<VmmProcess> process;
  Watch watch;
  Timer timer;

  Result<void> start(EventLoop& loop, const std::string& program, EventLoop::Clock::duration patience) {
    auto self = shared_from_this();
    process =
        TRY(VmmProcess::spawn(loop, program, log::Logger("probe"), [self](const ProcessExit&) { self->finish(self->lost()); }));
    watch = Watch(loop, TRY(loop.watch(process->control().fd(), EPOLLIN, [self](uint32_t) { self->receive(); })));
    timer = Timer(loop, patience, [self] { self->finish(fail(ErrorCode::kUnavailable, "adyton-vmm does not answer")); });
    const std::string text = TRY(encode(Request{.id = 1, .body = Describe{}}));
    return process->control().send(text);
  }

  std::unexpected<Error> lost() {
    const std::string words = process->last_words();
    return fail(ErrorCode::kUnavailable,
                "adyton-vmm ended before it answered" + (words.empty() ? words : ": " + one_line(words)));
  }

  void receive() {
    auto packet = process->control().receive();
    if (!packet) {
      if (packet.error().code != ErrorCode::kExhausted) watch.reset();  // its exit, or the timer, follows
      return;
    }
    auto event = decode_event(packet->text, packet->fds.size());
    if (!event) return finish(std::unexpected(std::move(event).error()));
    if (auto* description = std::get_if<Description>(&*event)) finish(std::move(*description));
  }

  void finish(Result<Description> outcome) {
    const auto keep = shared_from_this();
    timer.reset();
    watch.reset();
    process.reset();
    if (const auto tell = std::exchange(done, nullptr)) tell(std::move(outcome));
  }
};

}  // namespace

void probe_vmm(EventLoop& loop, const std::string& program, std::function<void(Result<Description>)> done,
               EventLoop::Clock::duration patience) {
  auto probe = std::make_shared<Probe>();
  probe->done = std::move(done);
  if (auto started = probe->start(loop, program, patience); !started) probe->finish(std::unexpected(std::move(started).error()));
}

}  // namespace adyton::service
