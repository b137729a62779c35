// The virtio console device with multiple ports (virtio 1.2 section 5.3): each port joins a guest's character device to host
// descriptors.
//
// Nothing is buffered here: bytes go straight between the guest's buffers and the host's descriptors, and whichever side does not
// keep up makes the other wait. Output is never written to a descriptor that poll() calls full, and in small parts, so
// descriptors need not be non-blocking (a terminal is shared with other processes, whose mode must not be changed).
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "vmm/virtio/device.h"

namespace adyton::vmm::virtio {

// In a resize message the specification puts the columns first. Linux before 6.16 expects the rows first, except stable releases
// that took over the correction (6.1.176 of Debian 12 has it).
enum class ResizeOrder : uint8_t { kColumnsFirst, kRowsFirst };

class ConsoleDevice final : public Device {
 public:
  // Takes a port's output instead of a descriptor; called on the device's thread, must not block.
  using Sink = std::function<void(std::span<const uint8_t>)>;

  struct Port {
    std::string name;      // the guest's name for it, /dev/virtio-ports/NAME; may be empty
    bool console = false;  // a terminal (hvc) rather than a plain port
    UniqueFd input;        // what the guest reads; none: nothing
    UniqueFd output;       // what the guest writes goes here, or to the sink, or nowhere
    Sink sink;
  };
  struct Size {
    uint16_t columns = 80;
    uint16_t rows = 25;
  };

  static constexpr size_t kMaxPorts = 32;

  // Port 0 is the one that a driver without VIRTIO_CONSOLE_F_MULTIPORT sees. 1 to kMaxPorts ports.
  static Result<std::unique_ptr<ConsoleDevice>> create(std::vector<Port> ports, Size size,
                                                       ResizeOrder order = ResizeOrder::kColumnsFirst);

  // The terminal's size has changed. From any thread, once the device is in a transport.
  void resize(Size size);

  [[nodiscard]] DeviceId id() const override { return DeviceId::kConsole; }
  [[nodiscard]] std::string_view name() const override { return "virtio-console"; }
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
  void read_config(uint64_t offset, std::span<uint8_t> out) const override;
  void write_config(uint64_t offset, std::span<const uint8_t> data) override;
  void activate(uint64_t driver_features, std::span<Virtqueue> queues) override;
  void queue_notified(uint16_t index) override;
  void reset() override;

 private:
  struct PortState {
    Port port;
    bool guest_ready = false;  // announced and accepted
    bool guest_open = false;   // the guest reads
    bool input_ended = false;
    bool output_broken = false;
    EventLoop::WatchId input_watch = 0;
    EventLoop::WatchId output_watch = 0;
    Chain unwritten;  // taken from the guest, `written` bytes of it passed on
    bool has_unwritten = false;
    uint32_t written = 0;
  };
  struct ControlMessage {
    uint32_t port;
    uint16_t event;
    uint16_t value;
    std::vector<uint8_t> extra;
  };
  enum class WriteResult : uint8_t { kAll, kFull };

  ConsoleDevice(std::vector<Port> ports, Size size, ResizeOrder order);

  // Section 5.3.2: port 0 has queues 0 and 1, the control queues are 2 and 3, port n has 2n + 2 and 2n + 3.
  [[nodiscard]] static size_t rx_queue(size_t port) { return port == 0 ? 0 : 2 * port + 2; }
  [[nodiscard]] static size_t tx_queue(size_t port) { return rx_queue(port) + 1; }

  void pump_input(size_t index);
  void pump_output(size_t index);
  void pump_control();
  bool give_control();
  void take_control(uint32_t port, uint16_t event, uint16_t value);
  void send_control(ControlMessage message);
  void send_size(size_t index);
  void end_input(size_t index);
  void write_emergency();
  WriteResult write_some(PortState& state, std::span<const uint8_t> bytes, size_t& done);
  void watch_input(size_t index);
  void watch_output(size_t index);

  std::vector<PortState> ports_;
  std::vector<uint16_t> queue_sizes_;
  const ResizeOrder order_;

  std::span<Virtqueue> queues_;
  bool multiport_ = false;
  std::deque<ControlMessage> control_;  // for the guest
  Chain chain_;

  mutable std::mutex mutex_;
  Size size_;                       // guarded by mutex_
  std::vector<uint8_t> emergency_;  // guarded by mutex_
};

}  // namespace adyton::vmm::virtio
