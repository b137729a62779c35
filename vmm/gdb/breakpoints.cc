#include "vmm/gdb/breakpoints.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace adyton::vmm::gdb {
namespace {

constexpr uint32_t kBrk = 0xd4200000;  // BRK #0
constexpr uint64_t kInstruction = 4, kDoubleword = 8;

// DBGBCR and DBGWCR (Arm ARM D19.3.2, D19.3.11): at EL0 and EL1, enabled.
constexpr uint64_t kEnabledEverywhere = 3u << 1 | 1;
constexpr uint64_t kWholeInstruction = 0xfu << 5;
constexpr unsigned kSelectShift = 5, kMaskShift = 24;
constexpr unsigned kLargestMask = 31;

bool is_breakpoint(Breakpoints::Type type) { return type == Breakpoints::Type::kSoftware || type == Breakpoints::Type::kHardware; }

uint64_t directions(Breakpoints::Type type) {
  constexpr uint64_t kLoads = 1u << 3, kStores = 1u << 4;
  return type == Breakpoints::Type::kRead ? kLoads : type == Breakpoints::Type::kWrite ? kStores : kLoads | kStores;
}

struct Watch {
  uint64_t value, control;
};

// The registers that watch [address, address + length): one with a mask for a large aligned power of two, else one for each doubleword.
std::vector<Watch> watches(Breakpoints::Type type, uint64_t address, uint64_t length, unsigned limit) {
  const uint64_t control = directions(type) | kEnabledEverywhere;
  if (std::has_single_bit(length) && length > kDoubleword && address % length == 0 && std::countr_zero(length) <= static_cast<int>(kLargestMask)) {
    return {{address, control | 0xffull << kSelectShift | static_cast<uint64_t>(std::countr_zero(length)) << kMaskShift}};
  }
  std::vector<Watch> result;
  while (length > 0 && result.size() <= limit) {
    const uint64_t offset = address % kDoubleword, here = std::min(length, kDoubleword - offset);
    result.push_back({address - offset, control | ((1ull << here) - 1) << offset << kSelectShift});
    address += here;
    length -= here;
  }
  return result;
}

}  // namespace

bool Breakpoints::fits(const std::vector<Hardware>& wanted) const {
  const auto& capabilities = target_.capabilities();
  const size_t most = hypervisor::GuestDebug::kMaxHardwareRegisters;
  size_t breakpoints = 0, registers = 0;
  for (const Hardware& h : wanted) {
    if (is_breakpoint(h.type)) {
      ++breakpoints;
    } else {
      registers += watches(h.type, h.address, h.length, capabilities.hardware_watchpoints).size();
    }
  }
  return breakpoints <= std::min<size_t>(most, capabilities.hardware_breakpoints) &&
         registers <= std::min<size_t>(most, capabilities.hardware_watchpoints);
}

bool Breakpoints::insert(Type type, uint64_t address, uint64_t length, hypervisor::Vcpu& regime) {
  if (type == Type::kSoftware) {
    if (length != kInstruction || address % kInstruction != 0) return false;
    const auto pa = regime.translate(address);
    // A program that is not there yet, or that is not the one that runs: a register will do, as it goes by the address alone.
    const auto original = pa ? target_.memory().load<uint32_t>(*pa) : std::unexpected(pa.error());
    if (!original) return insert_hardware({type, address, length});
    if (software_.contains(*pa)) return true;
    if (!target_.memory().store(*pa, kBrk)) return false;
    software_[*pa] = {address, *original};
    target_.memory_written(*pa, kInstruction);
    return true;
  }
  if (type == Type::kHardware ? length != kInstruction || address % kInstruction != 0 : length == 0 || address + length < address) return false;
  return insert_hardware({type, address, length});
}

bool Breakpoints::insert_hardware(const Hardware& wanted) {
  if (std::ranges::find(hardware_, wanted) != hardware_.end()) return true;
  hardware_.push_back(wanted);
  if (fits(hardware_)) return true;
  hardware_.pop_back();
  return false;
}

void Breakpoints::take_out(GuestPhysAddr address, const Software& breakpoint) {
  // The guest may have put something else there meanwhile.
  const auto now = target_.memory().load<uint32_t>(address);
  if (!now || *now != kBrk) return;
  (void)target_.memory().store(address, breakpoint.original);
  target_.memory_written(address, kInstruction);
}

bool Breakpoints::remove(Type type, uint64_t address, uint64_t length) {
  if (type == Type::kSoftware) {
    // By virtual address: the guest may be in another process by now.
    const auto found = std::ranges::find_if(software_, [&](const auto& entry) { return entry.second.va == address; });
    if (found != software_.end()) {
      take_out(found->first, found->second);
      software_.erase(found);
      return true;
    }
  }
  return std::erase(hardware_, Hardware{type, address, length}) > 0;
}

void Breakpoints::clear() {
  for (const auto& [address, breakpoint] : software_) take_out(address, breakpoint);
  software_.clear();
  hardware_.clear();
}

hypervisor::GuestDebug Breakpoints::control() const {
  hypervisor::GuestDebug debug;
  debug.software_breakpoints = !software_.empty();
  debug.hardware = !hardware_.empty();
  debug.enable = debug.software_breakpoints || debug.hardware;
  size_t breakpoints = 0, registers = 0;
  for (const Hardware& h : hardware_) {
    if (is_breakpoint(h.type)) {
      debug.dbg_bvr[breakpoints] = h.address;
      debug.dbg_bcr[breakpoints++] = kWholeInstruction | kEnabledEverywhere;
      continue;
    }
    for (const Watch& watch : watches(h.type, h.address, h.length, target_.capabilities().hardware_watchpoints)) {
      debug.dbg_wvr[registers] = watch.value;
      debug.dbg_wcr[registers++] = watch.control;
    }
  }
  return debug;
}

std::optional<Breakpoints::Type> Breakpoints::watching(uint64_t address) const {
  for (const Hardware& h : hardware_) {
    if (!is_breakpoint(h.type) && address >= h.address && address - h.address < h.length) return h.type;
  }
  return std::nullopt;
}

std::optional<Breakpoints::Type> Breakpoints::register_at(uint64_t address) const {
  for (const Hardware& h : hardware_) {
    if (is_breakpoint(h.type) && h.address == address) return h.type;
  }
  return std::nullopt;
}

void Breakpoints::hide(GuestPhysAddr address, std::span<uint8_t> bytes) const {
  for (auto it = software_.lower_bound(address < kInstruction ? 0 : address - kInstruction + 1);
       it != software_.end() && it->first < address + bytes.size(); ++it) {
    const auto* original = reinterpret_cast<const uint8_t*>(&it->second.original);
    for (uint64_t i = 0; i < kInstruction; ++i) {
      const uint64_t at = it->first + i;
      if (at >= address && at - address < bytes.size()) bytes[at - address] = original[i];
    }
  }
}

bool Breakpoints::write(GuestPhysAddr address, std::span<const uint8_t> bytes) {
  if (!target_.memory().write(address, bytes)) return false;
  for (auto it = software_.lower_bound(address < kInstruction ? 0 : address - kInstruction + 1);
       it != software_.end() && it->first < address + bytes.size(); ++it) {
    auto* original = reinterpret_cast<uint8_t*>(&it->second.original);
    for (uint64_t i = 0; i < kInstruction; ++i) {
      const uint64_t at = it->first + i;
      if (at >= address && at - address < bytes.size()) original[i] = bytes[at - address];
    }
    (void)target_.memory().store(it->first, kBrk);
  }
  target_.memory_written(address, bytes.size());
  return true;
}

}  // namespace adyton::vmm::gdb
