// A payload that is a shared library.
#include <cmath>

extern "C" int AVmPayload_main() {
  volatile double angle = 0;
  return static_cast<int>(std::cos(angle));
}
