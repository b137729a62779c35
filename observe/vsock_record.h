// What a capture of vsock packets leaves in its ring: one record per packet, its time in nanoseconds since the Unix epoch.
#pragma once
#include <cstddef>
#include <cstdint>

namespace adyton::observe {

inline constexpr uint32_t kVsockPacketRecord = 1;

// The record begins with this; the packet's payload follows, cut to the capture's limit. The fields of the header are as the
// guest or the host's side of the device has sent them: a guest's are whatever it likes.
struct [[gnu::packed]] VsockPacketRecord {
  uint32_t payload_size = 0;  // of the packet; more than what follows if it was cut
  uint32_t reserved = 0;
  uint8_t header[44] = {};  // virtio 1.2 section 5.10.6
};
static_assert(sizeof(VsockPacketRecord) == 52);

// At once, per VM: each costs a copy of every packet.
inline constexpr size_t kMaxCaptures = 16;
inline constexpr size_t kMaxCapturePorts = 64;

}  // namespace adyton::observe
