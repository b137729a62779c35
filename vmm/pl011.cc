#include "vmm/pl011.h"

#include <algorithm>

namespace adyton::vmm {
namespace {

enum Register : uint32_t {
  kDr = 0x00,
  kRsr = 0x04,
  kFr = 0x18,
  kIlpr = 0x20,
  kIbrd = 0x24,
  kFbrd = 0x28,
  kLcr = 0x2c,
  kCr = 0x30,
  kIfls = 0x34,
  kImsc = 0x38,
  kRis = 0x3c,
  kMis = 0x40,
  kIcr = 0x44,
  kDmacr = 0x48,
  kId = 0xfe0,
};
constexpr uint32_t kFrRxEmpty = 1 << 4, kFrRxFull = 1 << 6, kFrTxEmpty = 1 << 7;
constexpr uint32_t kLcrFifoEnable = 1 << 4;
constexpr uint32_t kCrUartEnable = 1 << 0, kCrLoopback = 1 << 7, kCrRxEnable = 1 << 9;
constexpr uint32_t kIntRx = 1 << 4, kIntTx = 1 << 5, kIntRxTimeout = 1 << 6, kIntAll = 0x7ff;
// UARTPeriphID (part 0x011, Arm, revision r1p5) and UARTPCellID.
constexpr uint8_t kIds[8] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

size_t Pl011::depth() const { return lcr_ & kLcrFifoEnable ? kFifoDepth : 1; }

size_t Pl011::receive_trigger() const {
  if (!(lcr_ & kLcrFifoEnable)) return 1;
  static constexpr size_t kEighths[8] = {1, 2, 4, 6, 7, 4, 4, 4};  // IFLS.RXIFLSEL; 5 to 7 are reserved
  return kFifoDepth * kEighths[(ifls_ >> 3) & 7] / 8;
}

void Pl011::push(uint8_t byte) {
  fifo_[(head_ + count_) % kFifoDepth] = byte;
  if (++count_ >= receive_trigger()) ris_ |= kIntRx;
  // The receive timeout runs for 32 bit times after the last byte: no time at all for a line without a speed.
  ris_ |= kIntRxTimeout;
}

uint32_t Pl011::pop() {
  if (count_ == 0) return 0;
  uint8_t byte = fifo_[head_];
  head_ = (head_ + 1) % kFifoDepth;
  --count_;
  if (count_ < receive_trigger()) ris_ &= ~kIntRx;
  if (count_ == 0) ris_ &= ~kIntRxTimeout;
  return byte;
}

void Pl011::update_irq() { irq_.set((ris_ & imsc_) != 0); }

size_t Pl011::receive(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  // A UART that is off loses what arrives; this one lets it wait outside, as if the sender saw no clear-to-send.
  size_t room = (cr_ & (kCrUartEnable | kCrRxEnable)) == (kCrUartEnable | kCrRxEnable) ? depth() - std::min(count_, depth()) : 0;
  size_t taken = std::min(room, bytes.size());
  for (uint8_t byte : bytes.first(taken)) push(byte);
  if (taken < bytes.size()) was_full_ = true;
  update_irq();
  return taken;
}

uint32_t Pl011::read_locked(uint32_t offset, bool& made_room) {
  switch (offset) {
    case kDr: {
      uint32_t byte = pop();
      made_room = was_full_;
      was_full_ = false;
      update_irq();
      return byte;
    }
    case kRsr: return 0;
    case kFr: return kFrTxEmpty | (count_ == 0 ? kFrRxEmpty : 0) | (count_ >= depth() ? kFrRxFull : 0);
    case kIlpr: return ilpr_;
    case kIbrd: return ibrd_;
    case kFbrd: return fbrd_;
    case kLcr: return lcr_;
    case kCr: return cr_;
    case kIfls: return ifls_;
    case kImsc: return imsc_;
    case kRis: return ris_;
    case kMis: return ris_ & imsc_;
    case kDmacr: return dmacr_;
    default: return offset >= kId && offset < kId + 32 && offset % 4 == 0 ? kIds[(offset - kId) / 4] : 0;
  }
}

void Pl011::write_locked(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kDr:
      // The byte has left before the next instruction: the transmit FIFO went through its trigger level.
      ris_ |= kIntTx;
      if ((cr_ & kCrLoopback) && count_ < depth()) push(static_cast<uint8_t>(value));
      break;
    case kIlpr: ilpr_ = value & 0xff; break;
    case kIbrd: ibrd_ = value & 0xffff; break;
    case kFbrd: fbrd_ = value & 0x3f; break;
    case kLcr:
      // Switching the FIFO empties it.
      if ((lcr_ ^ value) & kLcrFifoEnable) {
        head_ = count_ = 0;
        ris_ &= ~(kIntRx | kIntRxTimeout);
      }
      lcr_ = value & 0xff;
      break;
    case kCr: cr_ = value & 0xff87; break;
    case kIfls: ifls_ = value & 0x3f; break;
    case kImsc: imsc_ = value & kIntAll; break;
    case kIcr: ris_ &= ~(value & kIntAll); break;
    case kDmacr: dmacr_ = value & 7; break;
    default: break;
  }
  update_irq();
}

void Pl011::read(uint64_t offset, std::span<uint8_t> data) {
  bool made_room = false;
  {
    std::lock_guard lock(mutex_);
    set_mmio_value(data, read_locked(static_cast<uint32_t>(offset), made_room));
  }
  if (made_room) callbacks_.input_ready();
}

void Pl011::write(uint64_t offset, std::span<const uint8_t> data) {
  uint32_t value = static_cast<uint32_t>(mmio_value(data));
  bool transmit, receiver_on;
  {
    std::lock_guard lock(mutex_);
    uint32_t before = cr_;
    write_locked(static_cast<uint32_t>(offset), value);
    transmit = offset == kDr && !(cr_ & kCrLoopback);
    receiver_on = was_full_ && ((offset == kCr && before != cr_) || offset == kLcr);
    if (receiver_on) was_full_ = false;
  }
  if (transmit) {
    uint8_t byte = static_cast<uint8_t>(value);
    callbacks_.output(std::span(&byte, 1));
  }
  if (receiver_on) callbacks_.input_ready();
}

}  // namespace adyton::vmm
