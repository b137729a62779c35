#include "vmm/virtio/console.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace adyton::vmm::virtio {
namespace {

// Section 5.3.3.
constexpr uint64_t kFeatureSize = 1 << 0;
constexpr uint64_t kFeatureMultiport = 1 << 1;
constexpr uint64_t kFeatureEmergencyWrite = 1 << 2;
constexpr uint64_t kEmergencyWriteOffset = 8;

// Section 5.3.6.2: control events.
constexpr uint16_t kDeviceReady = 0;
constexpr uint16_t kPortAdd = 1;
constexpr uint16_t kPortReady = 3;
constexpr uint16_t kConsolePort = 4;
constexpr uint16_t kResize = 5;
constexpr uint16_t kPortOpen = 6;
constexpr uint16_t kPortName = 7;

constexpr size_t kControlRx = 2;
constexpr size_t kControlTx = 3;
constexpr uint16_t kQueueSize = 128;

struct [[gnu::packed]] Config {
  uint16_t columns;
  uint16_t rows;
  uint32_t max_ports;
  uint32_t emergency_write;
};
struct ControlHeader {
  uint32_t port;
  uint16_t event;
  uint16_t value;
};
static_assert(sizeof(ControlHeader) == 8);

// A pipe that poll() calls writable takes this much at once (PIPE_BUF).
constexpr size_t kWritePart = 4096;
constexpr size_t kMaxEmergencyBytes = 4096;
// Chains for one port before the others get their turn.
constexpr int kTurn = 64;

bool is_ready(int fd, short events) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

Result<std::unique_ptr<ConsoleDevice>> ConsoleDevice::create(std::vector<Port> ports, Size size, ResizeOrder order) {
  if (ports.empty() || ports.size() > kMaxPorts) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("a console device has 1 to {} ports, not {}", kMaxPorts, ports.size()));
  }
  return std::unique_ptr<ConsoleDevice>(new ConsoleDevice(std::move(ports), size, order));
}

ConsoleDevice::ConsoleDevice(std::vector<Port> ports, Size size, ResizeOrder order)
    : queue_sizes_(2 * ports.size() + 2, kQueueSize), order_(order), size_(size) {
  for (Port& port : ports) ports_.push_back({.port = std::move(port)});
}

uint64_t ConsoleDevice::features() const { return kFeatureSize | kFeatureMultiport | kFeatureEmergencyWrite; }

void ConsoleDevice::read_config(uint64_t offset, std::span<uint8_t> out) const {
  const std::lock_guard lock(mutex_);
  const Config config{size_.columns, size_.rows, static_cast<uint32_t>(ports_.size()), 0};
  read_config_object(config, offset, out);
}

void ConsoleDevice::write_config(uint64_t offset, std::span<const uint8_t> data) {
  if (offset != kEmergencyWriteOffset || data.empty()) return;
  // Section 5.3.4: the lowest byte is a character for the console, also before the device is set up.
  const std::lock_guard lock(mutex_);
  if (emergency_.size() >= kMaxEmergencyBytes) return;
  emergency_.push_back(data[0]);
  if (emergency_.size() == 1) host().loop().post([this] { write_emergency(); });
}

void ConsoleDevice::write_emergency() {
  std::vector<uint8_t> bytes;
  {
    const std::lock_guard lock(mutex_);
    bytes.swap(emergency_);
  }
  size_t done = 0;
  write_some(ports_[0], bytes, done);
}

void ConsoleDevice::activate(uint64_t driver_features, std::span<Virtqueue> queues) {
  queues_ = queues;
  multiport_ = driver_features & kFeatureMultiport;
  if (!multiport_) ports_[0].guest_ready = ports_[0].guest_open = true;
}

void ConsoleDevice::reset() {
  queues_ = {};
  control_.clear();
  for (PortState& state : ports_) {
    host().loop().unwatch(std::exchange(state.input_watch, 0));
    host().loop().unwatch(std::exchange(state.output_watch, 0));
    state.guest_ready = state.guest_open = state.has_unwritten = false;
  }
}

void ConsoleDevice::queue_notified(uint16_t index) {
  if (queues_.empty()) return;
  if (index == kControlRx || index == kControlTx) {
    pump_control();
    return;
  }
  const size_t port = index < 2 ? 0 : (index - 2u) / 2;
  if (port > 0 && !multiport_) return;
  if (index % 2 == 0) {
    pump_input(port);
  } else {
    pump_output(port);
  }
}

void ConsoleDevice::resize(Size size) {
  {
    const std::lock_guard lock(mutex_);
    size_ = size;
  }
  host().raise_config_changed();
  host().loop().post([this] {
    if (queues_.empty() || !multiport_) return;
    for (size_t i = 0; i < ports_.size(); ++i) {
      if (ports_[i].port.console && ports_[i].guest_ready) send_size(i);
    }
    pump_control();
  });
}

// --- control queues ---

void ConsoleDevice::send_control(ControlMessage message) { control_.push_back(std::move(message)); }

void ConsoleDevice::send_size(size_t index) {
  const auto port = static_cast<uint32_t>(index);
  // Only the newest size matters.
  std::erase_if(control_, [port](const ControlMessage& message) { return message.port == port && message.event == kResize; });
  Size size;
  {
    const std::lock_guard lock(mutex_);
    size = size_;
  }
  std::array<uint16_t, 2> values = {size.columns, size.rows};
  if (order_ == ResizeOrder::kRowsFirst) std::swap(values[0], values[1]);
  std::vector<uint8_t> extra(sizeof(values));
  std::memcpy(extra.data(), values.data(), sizeof(values));
  send_control({port, kResize, 0, std::move(extra)});
}

bool ConsoleDevice::give_control() {
  Virtqueue& queue = queues_[kControlRx];
  bool any = false;
  while (!control_.empty() && queue.pop(chain_)) {
    const ControlMessage& message = control_.front();
    ChainWriter writer(chain_);
    size_t written = 0;
    // A buffer that is too small loses the message: Linux gives whole pages.
    if (writer.write_object(ControlHeader{message.port, message.event, message.value})) {
      written = sizeof(ControlHeader) + writer.write(message.extra);
    }
    queue.push(chain_, static_cast<uint32_t>(written));
    control_.pop_front();
    any = true;
  }
  if (any) host().signal(queue);
  return any;
}

void ConsoleDevice::pump_control() {
  if (!multiport_) return;
  Virtqueue& in = queues_[kControlTx];
  // One message of the guest makes at most this many of ours, so a guest that does not read its own queue is not listened to any
  // more.
  const size_t bound = 4 * kMaxPorts;
  bool again = true;
  for (int turns = 0; again && turns < kTurn; ++turns) {
    again = give_control();
    if (control_.size() < bound && in.pop(chain_)) {
      again = true;
      ControlHeader message;
      const bool whole = ChainReader(chain_).read_object(message);
      in.push(chain_, 0);
      if (whole) take_control(message.port, message.event, message.value);
    }
  }
  host().signal(in);
  if (!again) {
    if (!control_.empty() && queues_[kControlRx].enable_doorbells()) again = true;
    if (control_.size() < bound && in.enable_doorbells()) again = true;
  }
  if (again) {
    host().loop().post([this] {
      if (!queues_.empty()) pump_control();
    });
  }
}

void ConsoleDevice::take_control(uint32_t port, uint16_t event, uint16_t value) {
  if (event == kDeviceReady) {
    if (value != 1) return;
    for (uint32_t i = 0; i < ports_.size(); ++i) send_control({i, kPortAdd, 1, {}});
    return;
  }
  if (port >= ports_.size()) return;
  PortState& state = ports_[port];
  if (event == kPortReady) {
    state.guest_ready = value == 1;
    if (!state.guest_ready) return;
    if (state.port.console) {
      send_control({port, kConsolePort, 1, {}});
      send_size(port);
    }
    if (!state.port.name.empty()) { send_control({port, kPortName, 1, {state.port.name.begin(), state.port.name.end()}}); }
    send_control({port, kPortOpen, static_cast<uint16_t>(state.port.console || !state.input_ended), {}});
  } else if (event == kPortOpen) {
    state.guest_open = value == 1;
    pump_input(port);
  }
}

// --- host to guest ---

void ConsoleDevice::watch_input(size_t index) {
  PortState& state = ports_[index];
  if (state.input_watch) return;
  // Fails for a regular file, which is always ready and not waited for.
  if (auto watch = host().loop().watch(state.port.input.get(), EPOLLIN, [this, index](uint32_t) { pump_input(index); }))
    state.input_watch = *watch;
}

void ConsoleDevice::end_input(size_t index) {
  PortState& state = ports_[index];
  state.input_ended = true;
  // A terminal stays; the reader of a plain port shall see the end.
  if (multiport_ && state.guest_ready && !state.port.console) {
    send_control({static_cast<uint32_t>(index), kPortOpen, 0, {}});
    host().loop().post([this] {
      if (!queues_.empty()) pump_control();
    });
  }
}

void ConsoleDevice::pump_input(size_t index) {
  PortState& state = ports_[index];
  Virtqueue& queue = queues_[rx_queue(index)];
  // Without a buffer, a watch would only report over and over what cannot be taken.
  const auto stop_watching = [&] { host().loop().unwatch(std::exchange(state.input_watch, 0)); };
  for (int turn = 0; turn < kTurn; ++turn) {
    if (!state.port.input.valid() || state.input_ended || !state.guest_open) {
      stop_watching();
      break;
    }
    if (!queue.has_available()) {
      stop_watching();
      if (!queue.enable_doorbells()) break;
      continue;
    }
    if (!is_ready(state.port.input.get(), POLLIN)) {
      watch_input(index);
      break;
    }
    if (!queue.pop(chain_)) break;
    ssize_t count = 0;
    if (!chain_.writable().empty()) {
      count = ::readv(state.port.input.get(), chain_.writable().data(), static_cast<int>(chain_.writable().size()));
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        queue.rewind(1);
        watch_input(index);
        break;
      }
      if (count <= 0) {
        queue.rewind(1);
        end_input(index);
        continue;
      }
    }
    queue.push(chain_, static_cast<uint32_t>(count));
    if (turn == kTurn - 1) {
      host().loop().post([this, index] {
        if (!queues_.empty()) pump_input(index);
      });
    }
  }
  host().signal(queue);
}

// --- guest to host ---

void ConsoleDevice::watch_output(size_t index) {
  PortState& state = ports_[index];
  if (state.output_watch) return;
  auto watch = host().loop().watch(state.port.output.get(), EPOLLOUT, [this, index](uint32_t) {
    host().loop().unwatch(std::exchange(ports_[index].output_watch, 0));
    pump_output(index);
  });
  if (watch) {
    state.output_watch = *watch;
  } else {
    // Full, and no way to learn when it will not be.
    state.output_broken = true;
  }
}

ConsoleDevice::WriteResult ConsoleDevice::write_some(PortState& state, std::span<const uint8_t> bytes, size_t& done) {
  done = 0;
  if (state.port.sink) {
    state.port.sink(bytes);
    done = bytes.size();
    return WriteResult::kAll;
  }
  while (done < bytes.size() && state.port.output.valid() && !state.output_broken) {
    if (!is_ready(state.port.output.get(), POLLOUT)) return WriteResult::kFull;
    const ssize_t count = ::write(state.port.output.get(), bytes.data() + done, std::min(kWritePart, bytes.size() - done));
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      return WriteResult::kFull;
    } else if (errno == ENOSPC || errno == EDQUOT) {
      break;  // this part is lost; the disk may have room again later
    } else if (errno != EINTR) {
      state.output_broken = true;  // nobody reads any more
    }
  }
  done = bytes.size();
  return WriteResult::kAll;
}

void ConsoleDevice::pump_output(size_t index) {
  PortState& state = ports_[index];
  Virtqueue& queue = queues_[tx_queue(index)];
  int turn = 0;
  queue.disable_doorbells();
  for (;;) {
    if (!state.has_unwritten) {
      if (turn == kTurn) {
        host().loop().post([this, index] {
          if (!queues_.empty()) pump_output(index);
        });
        break;
      }
      if (!queue.pop(state.unwritten)) {
        if (!queue.enable_doorbells()) break;
        continue;
      }
      ++turn;
      state.has_unwritten = true;
      state.written = 0;
    }
    std::vector<iovec> left;
    ChainReader reader(state.unwritten);
    reader.skip(state.written);
    reader.take(state.unwritten.readable_bytes(), left);
    WriteResult result = WriteResult::kAll;
    for (size_t i = 0; i < left.size() && result == WriteResult::kAll; ++i) {
      size_t done = 0;
      result = write_some(state, std::span(static_cast<const uint8_t*>(left[i].iov_base), left[i].iov_len), done);
      state.written += static_cast<uint32_t>(done);
    }
    if (result == WriteResult::kFull) {
      watch_output(index);
      if (!state.output_broken) break;
      continue;
    }
    state.has_unwritten = false;
    queue.push(state.unwritten, 0);
  }
  host().signal(queue);
}

}  // namespace adyton::vmm::virtio
