// The PL011 UART (Arm DDI 0183): the board's first console.
//
// Output goes to a sink at once, so the transmit side is always empty. Input waits in the receive FIFO; who feeds it is told when
// there is room again. Threading: any thread. The callbacks run on the thread that caused them, without the device's lock.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <mutex>

#include "vmm/irq_line.h"
#include "vmm/mmio_device.h"

namespace adyton::vmm {

class Pl011 final : public MmioDevice {
 public:
  struct Callbacks {
    std::function<void(std::span<const uint8_t>)> output;
    // The FIFO, having been full, has room.
    std::function<void()> input_ready = [] {};
  };
  Pl011(IrqLine& irq, Callbacks callbacks) : irq_(irq), callbacks_(std::move(callbacks)) {}

  void read(uint64_t offset, std::span<uint8_t> data) override;
  void write(uint64_t offset, std::span<const uint8_t> data) override;
  [[nodiscard]] std::string_view name() const override { return "pl011"; }

  // Takes as many bytes as have room; returns how many.
  size_t receive(std::span<const uint8_t> bytes);

 private:
  static constexpr size_t kFifoDepth = 32;  // revision r1p5

  uint32_t read_locked(uint32_t offset, bool& made_room);
  void write_locked(uint32_t offset, uint32_t value);
  [[nodiscard]] size_t depth() const;
  [[nodiscard]] size_t receive_trigger() const;
  void push(uint8_t byte);
  uint32_t pop();
  void update_irq();

  IrqLine& irq_;
  const Callbacks callbacks_;
  std::mutex mutex_;
  std::array<uint8_t, kFifoDepth> fifo_{};
  size_t head_ = 0, count_ = 0;
  bool was_full_ = false;
  uint32_t ilpr_ = 0, ibrd_ = 0, fbrd_ = 0, lcr_ = 0, cr_ = 0x300, ifls_ = 0x12, imsc_ = 0, ris_ = 0, dmacr_ = 0;
};

}  // namespace adyton::vmm
