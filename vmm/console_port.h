// The outside of the serial port: two descriptors. What the guest sends is written to one at once (a reader that does not read
// stops the guest, so nothing is lost); what arrives on the other is fed to the UART as fast as it takes it.
#pragma once
#include <functional>
#include <span>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/pl011.h"

namespace adyton::vmm {

class ConsolePort {
 public:
  // `input` may be invalid: nothing ever arrives.
  static Result<std::unique_ptr<ConsolePort>> create(UniqueFd output, UniqueFd input);
  ~ConsolePort() { stop(); }
  ConsolePort(const ConsolePort&) = delete;
  ConsolePort& operator=(const ConsolePort&) = delete;

  // For the UART, which is destroyed before the port is.
  [[nodiscard]] Pl011::Callbacks callbacks();

  // Starts feeding: `receive` takes bytes and returns how many, as Pl011::receive. It is called on the port's own thread until
  // stop().
  Result<void> start(std::function<size_t(std::span<const uint8_t>)> receive);
  void stop();

 private:
  ConsolePort(UniqueFd output, UniqueFd input, UniqueFd wake)
      : output_(std::move(output)), input_(std::move(input)), wake_(std::move(wake)) {}
  void write(std::span<const uint8_t> bytes);
  void feed(const std::stop_token& stopping, const std::function<size_t(std::span<const uint8_t>)>& receive);
  // Until the UART has room or stop() was called.
  void wait_for_room();

  UniqueFd output_;
  UniqueFd input_;
  UniqueFd wake_;  // eventfd: room in the UART, or stop()
  std::jthread feeder_;
};

}  // namespace adyton::vmm
