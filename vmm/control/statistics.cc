#include <algorithm>

#include "vmm/control/protocol.h"
#include "vmm/control/statistics_json.h"

namespace adyton::vmm::control {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::kCorrupt, "the VM's statistics: " + std::string(what));
}

const Json& field(const Json& object, const char* name) {
  static const Json null;
  const auto it = object.find(name);
  return it == object.end() ? null : *it;
}

Result<uint64_t> number(const Json& value) {
  if (!value.is_number_unsigned()) return corrupt("a count is not a number");
  return value.get<uint64_t>();
}

// A list of `min` to `max` numbers.
Result<std::vector<uint64_t>> numbers(const Json& value, size_t min, size_t max) {
  if (!value.is_array() || value.size() < min || value.size() > max) return corrupt("not the right number of counts");
  std::vector<uint64_t> all;
  for (const Json& entry : value) all.push_back(TRY(number(entry)));
  return all;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

Result<std::string> name(const Json& value) {
  if (!value.is_string()) return corrupt("a name is not a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty() || text.size() > kMaxStatisticName || !std::ranges::all_of(text, is_name_character)) {
    return corrupt("a name is not letters, digits, '_', '-' and '.'");
  }
  return text;
}

Result<std::vector<std::string>> names(const Json& value) {
  if (!value.is_array() || value.size() > kMaxStatistics) return corrupt("too many names");
  std::vector<std::string> all;
  for (const Json& entry : value) all.push_back(TRY(name(entry)));
  return all;
}

Json optional_to_json(const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(nullptr); }

Result<std::optional<uint64_t>> optional_number(const Json& value) {
  if (value.is_null()) return std::optional<uint64_t>();
  return TRY(number(value));
}

Json balloon_to_json(const BalloonStatistics& b) {
  return {{"target", b.target},
          {"actual", b.actual},
          {"returned", b.returned},
          {"guest_free", optional_to_json(b.guest_free)},
          {"guest_available", optional_to_json(b.guest_available)},
          {"guest_total", optional_to_json(b.guest_total)},
          {"guest_caches", optional_to_json(b.guest_caches)}};
}

Result<BalloonStatistics> decode_balloon(const Json& json) {
  if (!json.is_object()) return corrupt("the balloon is not an object");
  return BalloonStatistics{.target = TRY(number(field(json, "target"))),
                           .actual = TRY(number(field(json, "actual"))),
                           .returned = TRY(number(field(json, "returned"))),
                           .guest_free = TRY(optional_number(field(json, "guest_free"))),
                           .guest_available = TRY(optional_number(field(json, "guest_available"))),
                           .guest_total = TRY(optional_number(field(json, "guest_total"))),
                           .guest_caches = TRY(optional_number(field(json, "guest_caches")))};
}

Json queue_to_json(const QueueStatistics& q) { return {q.kicks, q.chains, q.bytes_from_guest, q.bytes_to_guest}; }

Result<DeviceStatistics> decode_device(const Json& json) {
  if (!json.is_object()) return corrupt("a device is not an object");
  DeviceStatistics device{
      .name = TRY(name(field(json, "name"))), .interrupts = TRY(number(field(json, "interrupts"))), .queues = {}};
  const Json& queues = field(json, "queues");
  if (!queues.is_array() || queues.size() > kMaxQueues) return corrupt("too many queues");
  for (const Json& entry : queues) {
    const auto counts = TRY(numbers(entry, 4, 4));
    device.queues.push_back(
        {.kicks = counts[0], .chains = counts[1], .bytes_from_guest = counts[2], .bytes_to_guest = counts[3]});
  }
  return device;
}

}  // namespace

Json to_json(const Statistics& s) {
  Json devices = Json::array();
  for (const DeviceStatistics& device : s.devices) {
    Json queues = Json::array();
    for (const QueueStatistics& queue : device.queues) queues.push_back(queue_to_json(queue));
    devices.push_back({{"name", device.name}, {"interrupts", device.interrupts}, {"queues", std::move(queues)}});
  }
  return {{"type", "statistics"},
          {"id", s.id},
          {"vm_names", s.vm_names},
          {"vm", s.vm},
          {"vcpu_names", s.vcpu_names},
          {"vcpus", s.vcpus},
          {"devices", std::move(devices)},
          {"vsock", {s.vsock.connections, s.vsock.opened, s.vsock.refused, s.vsock.payload_from_guest, s.vsock.payload_to_guest}},
          {"boot", {s.configuring, s.running}},
          {"balloon", balloon_to_json(s.balloon)}};
}

Result<Statistics> decode_statistics(const Json& json) {
  Statistics s;
  const uint64_t id = TRY(number(field(json, "id")));
  if (id > UINT32_MAX) return corrupt("the id is out of range");
  s.id = static_cast<uint32_t>(id);
  s.vm_names = TRY(names(field(json, "vm_names")));
  s.vm = TRY(numbers(field(json, "vm"), s.vm_names.size(), s.vm_names.size()));
  s.vcpu_names = TRY(names(field(json, "vcpu_names")));
  const Json& vcpus = field(json, "vcpus");
  if (!vcpus.is_array() || vcpus.size() > kMaxCpus) return corrupt("too many vCPUs");
  for (const Json& entry : vcpus) s.vcpus.push_back(TRY(numbers(entry, s.vcpu_names.size(), s.vcpu_names.size())));
  const Json& devices = field(json, "devices");
  if (!devices.is_array() || devices.size() > kMaxDevices) return corrupt("too many devices");
  for (const Json& entry : devices) s.devices.push_back(TRY(decode_device(entry)));
  const auto vsock = TRY(numbers(field(json, "vsock"), 5, 5));
  s.vsock = {.connections = vsock[0],
             .opened = vsock[1],
             .refused = vsock[2],
             .payload_from_guest = vsock[3],
             .payload_to_guest = vsock[4]};
  const auto boot = TRY(numbers(field(json, "boot"), 2, 2));
  s.configuring = boot[0];
  s.running = boot[1];
  s.balloon = TRY(decode_balloon(field(json, "balloon")));
  return s;
}

}  // namespace adyton::vmm::control
