#include "hypervisor/hypervisor.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace adyton::hypervisor {

std::string_view to_string(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kNone: return "none";
    case IsolationLevel::kProcess: return "process";
    case IsolationLevel::kHypervisor: return "hypervisor";
  }
  return "unknown";
}

namespace {
Result<void> check_scalar(uint64_t id) {
  if (register_size(id) > 8) return fail(ErrorCode::kInvalidArgument, fmt::format("register {:#x} is wider than 64 bits", id));
  return {};
}
}  // namespace

Result<void> Vcpu::set_guest_debug(const GuestDebug&) { return fail(ErrorCode::kUnsupported, "this hypervisor cannot debug a guest"); }

Result<GuestPhysAddr> Vcpu::translate(uint64_t) {
  return fail(ErrorCode::kUnsupported, "this hypervisor does not tell where a guest's virtual addresses lead");
}

Result<uint64_t> Vcpu::get_reg(uint64_t id) {
  TRY(check_scalar(id));
  std::array<uint8_t, 8> bytes{};
  TRY(get_one_reg(id, std::span(bytes).first(register_size(id))));
  uint64_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Result<void> Vcpu::set_reg(uint64_t id, uint64_t value) {
  TRY(check_scalar(id));
  std::array<uint8_t, 8> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  return set_one_reg(id, std::span<const uint8_t>(bytes).first(register_size(id)));
}

}  // namespace adyton::hypervisor
