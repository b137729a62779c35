#include "vmm/console_port.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "base/thread.h"

namespace adyton::vmm {

Result<std::unique_ptr<ConsolePort>> ConsolePort::create(UniqueFd output, UniqueFd input) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno("cannot make an eventfd");
  return std::unique_ptr<ConsolePort>(new ConsolePort(std::move(output), std::move(input), std::move(wake)));
}

Pl011::Callbacks ConsolePort::callbacks() {
  return {.output = [this](std::span<const uint8_t> bytes) { write(bytes); },
          .input_ready = [this] { (void)::eventfd_write(wake_.get(), 1); }};
}

Result<void> ConsolePort::start(std::function<size_t(std::span<const uint8_t>)> receive) {
  if (!input_.valid()) return {};
  feeder_ = TRY(
      start_thread("serial", [this, receive = std::move(receive)](const std::stop_token& stopping) { feed(stopping, receive); }));
  return {};
}

void ConsolePort::stop() {
  if (!feeder_.joinable()) return;
  feeder_.request_stop();
  (void)::eventfd_write(wake_.get(), 1);
  feeder_.join();
}

void ConsolePort::write(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(output_.get(), bytes.data(), bytes.size());
    if (put >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(put));
    } else if (errno == EAGAIN) {
      pollfd writable{.fd = output_.get(), .events = POLLOUT, .revents = 0};
      (void)::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return;  // nobody listens any more
    }
  }
}

void ConsolePort::wait_for_room() {
  pollfd woken{.fd = wake_.get(), .events = POLLIN, .revents = 0};
  (void)::poll(&woken, 1, -1);
  eventfd_t ignored;
  (void)::eventfd_read(wake_.get(), &ignored);
}

void ConsolePort::feed(const std::stop_token& stopping, const std::function<size_t(std::span<const uint8_t>)>& receive) {
  std::array<uint8_t, 256> buffer;
  while (!stopping.stop_requested()) {
    pollfd watched[2] = {{.fd = input_.get(), .events = POLLIN, .revents = 0},
                         {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0) {
      eventfd_t ignored;
      (void)::eventfd_read(wake_.get(), &ignored);
    }
    if (watched[0].revents == 0) continue;
    const ssize_t got = ::read(input_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return;
    std::span<const uint8_t> bytes(buffer.data(), static_cast<size_t>(got));
    while (!stopping.stop_requested()) {
      bytes = bytes.subspan(receive(bytes));
      if (bytes.empty()) break;
      wait_for_room();
    }
  }
}

}  // namespace adyton::vmm
