// The board: where everything is. The memory map is the one that arm64 operating systems know from the "virt" board.
#pragma once
#include <cstdint>

#include "hypervisor/hypervisor.h"

namespace adyton::vmm::board {

// --- Physical addresses.
constexpr uint64_t kFirmwareBase = 0;  // read by the reset vector when firmware boots
constexpr uint64_t kFirmwareSize = 64ull << 20;
constexpr uint64_t kGicDistributorBase = 0x0800'0000;
constexpr uint64_t kGicRedistributorBase = 0x080a'0000;
constexpr uint64_t kUartBase = 0x0900'0000;
constexpr uint64_t kUartSize = 0x1000;
constexpr uint64_t kRtcBase = 0x0901'0000;
constexpr uint64_t kRtcSize = 0x1000;
constexpr uint64_t kWatchdogRefreshBase = 0x0918'0000;
constexpr uint64_t kWatchdogControlBase = 0x0919'0000;
constexpr uint64_t kVirtioMmioBase = 0x0a00'0000;
constexpr uint64_t kVirtioMmioSize = 0x200;  // one device; devices follow each other
constexpr unsigned kVirtioMmioCount = 32;
constexpr uint64_t kRamBase = 0x4000'0000;
constexpr uint64_t kMaxRamSize = 255ull << 30;
constexpr uint64_t kMinRamSize = 8ull << 20;
constexpr uint64_t kRamAlignment = 2ull << 20;  // RAM sizes are multiples of it

// The redistributors end where the UART begins.
constexpr unsigned kMaxCpus = static_cast<unsigned>((kUartBase - kGicRedistributorBase) / hypervisor::kRedistributorSize);

// --- Interrupts. INTIDs; a device tree counts SPIs from 32.
constexpr uint32_t kUartIntid = 32 + 1;
constexpr uint32_t kRtcIntid = 32 + 2;
constexpr uint32_t kWatchdogIntid = 32 + 10;
constexpr uint32_t kVirtioMmioIntid = 32 + 16;  // the first device's
constexpr uint32_t kIntidCount = 32 + 96;       // a multiple of 32

constexpr uint64_t virtio_mmio_address(unsigned slot) { return kVirtioMmioBase + slot * kVirtioMmioSize; }
constexpr uint32_t virtio_mmio_intid(unsigned slot) { return kVirtioMmioIntid + slot; }

static_assert(kVirtioMmioIntid + kVirtioMmioCount <= kIntidCount);
static_assert(kVirtioMmioBase + kVirtioMmioCount * kVirtioMmioSize <= kRamBase);

}  // namespace adyton::vmm::board
