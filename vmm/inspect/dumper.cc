#include "vmm/inspect/dumper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/thread.h"
#include "observe/dump_stream.h"
#include "vmm/inspect/vcpu_state.h"

namespace adyton::vmm::inspect {
namespace {

using observe::DumpPiece;

constexpr uint64_t kPage = 4096;
constexpr std::chrono::milliseconds kStandstill{2'000};

bool is_zero(std::span<const uint8_t> page) {
  return page[0] == 0 && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

Result<std::unique_ptr<Dumper>> Dumper::create(Machine& machine, std::chrono::milliseconds patience) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno("cannot make an eventfd for dumps");
  return std::unique_ptr<Dumper>(new Dumper(machine, std::move(wake), patience));
}

Dumper::Dumper(Machine& machine, UniqueFd wake, std::chrono::milliseconds patience)
    : machine_(machine), patience_(patience), wake_(std::move(wake)) {}

Dumper::~Dumper() { stop(); }

Result<void> Dumper::start() {
  thread_ = TRY(start_thread("dump", [this] { serve(); }));
  return {};
}

void Dumper::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

bool Dumper::stopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

Result<UniqueFd> Dumper::dump() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("cannot make a socket for the dump");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  std::lock_guard lock(mutex_);
  if (busy_) return fail(ErrorCode::kUnavailable, "the VM is being dumped already");
  busy_ = true;
  client_ = std::move(ours);
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  return theirs;
}

void Dumper::serve() {
  while (!stopping()) {
    pollfd called{.fd = wake_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&called, 1, -1) < 0) continue;
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    UniqueFd client;
    {
      std::lock_guard lock(mutex_);
      client = std::move(client_);
    }
    if (!client.valid()) continue;
    send_core(client.get());
    client.reset();
    std::lock_guard lock(mutex_);
    busy_ = false;
  }
}

void Dumper::send_core(int client) {
  const std::vector<bool> stands = machine_.freeze(kStandstill);
  std::vector<CoreVcpu> vcpus;
  for (size_t n = 0; n < stands.size(); ++n) vcpus.push_back(stands[n] ? read_vcpu(*machine_.vcpus()[n]) : CoreVcpu{});
  const auto kernel = KernelInfo::find(machine_.memory());
  std::vector<CoreImage> image;
  for (size_t n = 0; n < stands.size() && kernel && image.empty(); ++n) {
    if (!stands[n] || !machine_.vcpus()[n]->powered_on()) continue;
    image = kernel_image(machine_.memory(), *kernel, [&](uint64_t va) {
      const auto address = machine_.vcpus()[n]->translate(va);
      return address ? std::optional(*address) : std::nullopt;
    });
  }
  const CoreLayout layout = core_layout(machine_.memory(), vcpus, kernel ? &*kernel : nullptr, image);
  bool go_on = send_piece(client, 0, layout.header);
  for (const CoreLayout::Part& part : layout.parts) {
    const std::span<const uint8_t> memory = machine_.memory().slice(part.address, part.size);
    // Pages that hold something, as many at once as a piece may have.
    for (uint64_t from = 0; go_on && from < part.size;) {
      uint64_t to = from;
      while (to < part.size && to - from < DumpPiece::kMaxPiece && !is_zero(memory.subspan(to, kPage))) to += kPage;
      if (to > from) go_on = send_piece(client, part.offset + from, memory.subspan(from, to - from));
      from = to > from ? to : from + kPage;
    }
  }
  const DumpPiece end{.offset = layout.size, .length = 0};
  if (go_on) send(client, std::span(reinterpret_cast<const uint8_t*>(&end), sizeof end));
  machine_.thaw();
}

bool Dumper::send_piece(int client, uint64_t offset, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const DumpPiece piece{.offset = offset, .length = std::min<uint64_t>(bytes.size(), DumpPiece::kMaxPiece)};
    if (!send(client, std::span(reinterpret_cast<const uint8_t*>(&piece), sizeof piece)) ||
        !send(client, bytes.first(piece.length)))
      return false;
    bytes = bytes.subspan(piece.length);
    offset += piece.length;
  }
  return true;
}

bool Dumper::send(int client, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return false;
    pollfd watched[2] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}, {.fd = client, .events = POLLOUT, .revents = 0}};
    if (::poll(watched, 2, static_cast<int>(patience_.count())) == 0 || stopping()) return false;
    uint64_t count = 0;
    if (watched[0].revents != 0) (void)!::read(wake_.get(), &count, sizeof count);
  }
  return true;
}

}  // namespace adyton::vmm::inspect
