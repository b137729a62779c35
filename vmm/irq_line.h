// The wire from a device to the interrupt controller.
#pragma once

namespace adyton::vmm {

// One interrupt input. For a level-triggered interrupt the level stays until it is set again; for an edge-triggered one a change
// from false to true makes the interrupt pending. Threading: set() may be called from any thread, also under the device's own
// lock: it does not call back into the device. Setting the level it already has is cheap and has no effect.
class IrqLine {
 public:
  virtual ~IrqLine() = default;
  virtual void set(bool level) = 0;
};

}  // namespace adyton::vmm
