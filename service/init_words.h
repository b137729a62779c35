// What the guest's init says (guest/init/log.h), found among the other lines of the serial console: the one place where it can
// speak from its first moment on, also when vsock does not work. Any program of the guest that reaches the console can say the
// same.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace adyton::service {

class InitWords {
 public:
  static constexpr size_t kMaxLine = 1024;  // bytes; what is longer is cut

  // The lines of init's that these bytes complete, without line ends and the kernel's time.
  std::vector<std::string> take(std::span<const uint8_t> console);

 private:
  std::string line_;  // so far
};

}  // namespace adyton::service
