#include "vmm/control/protocol.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "vmm/control/statistics_json.h"

namespace adyton::vmm::control {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 7> kReasonNames = {"shutdown",       "reset",          "stopped", "crashed",
                                                          "internal-error", "forbidden-call", "watchdog"};
constexpr std::array<std::string_view, 8> kCodeNames = {"invalid-argument", "not-found",   "permission", "exhausted",
                                                        "unsupported",      "unavailable", "corrupt",    "internal"};

constexpr std::array<std::string_view, 2> kVsockTypeNames = {"stream", "seqpacket"};

template <size_t N>
std::optional<size_t> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
  }
  return std::nullopt;
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::kCorrupt, "control message: " + std::string(what));
}

Result<std::string> finish(const Json& json) {
  std::string text;
  try {
    text = json.dump();
  } catch (const Json::exception&) {
    return fail(ErrorCode::kInvalidArgument, "the VM's configuration holds text that is not UTF-8");
  }
  if (text.size() > kMaxMessageSize)
    return fail(ErrorCode::kInvalidArgument, "the VM's configuration is too big for one control message");
  return text;
}

// A field of an object, or null when it is absent.
const Json& field(const Json& object, const char* name) {
  static const Json null;
  auto it = object.find(name);
  return it == object.end() ? null : *it;
}

Result<uint64_t> number(const Json& value, std::string_view name, uint64_t max) {
  if (!value.is_number_unsigned()) return corrupt(std::string(name) + " is not a number");
  const auto n = value.get<uint64_t>();
  if (n > max) return corrupt(std::string(name) + " is out of range");
  return n;
}

Result<std::string> text_of(const Json& value, std::string_view name, size_t max) {
  if (!value.is_string()) return corrupt(std::string(name) + " is not a string");
  const auto& s = value.get_ref<const std::string&>();
  if (s.size() > max) return corrupt(std::string(name) + " is too long");
  if (s.find('\0') != std::string::npos) return corrupt(std::string(name) + " holds a zero byte");
  return s;
}

Result<size_t> fd_index(const Json& value, std::string_view name, size_t fd_count) {
  const uint64_t index = TRY(number(value, name, kMaxFds));
  if (index >= fd_count) return corrupt(std::string(name) + " names a descriptor that was not sent");
  return static_cast<size_t>(index);
}

Result<std::optional<size_t>> optional_fd_index(const Json& value, std::string_view name, size_t fd_count) {
  if (value.is_null()) return std::nullopt;
  return TRY(fd_index(value, name, fd_count));
}

Result<const Json*> array_of(const Json& value, std::string_view name, size_t max) {
  if (!value.is_array()) return corrupt(std::string(name) + " is not a list");
  if (value.size() > max) return corrupt(std::string(name) + " has too many entries");
  return &value;
}

std::string_view name_of(VsockType type) { return kVsockTypeNames[static_cast<size_t>(type)]; }

Result<VsockType> vsock_type(const Json& value) {
  const auto type = index_of(kVsockTypeNames, TRY(text_of(value, "socket type", 32)));
  if (!type) return corrupt("unknown socket type");
  return static_cast<VsockType>(*type);
}

Result<std::vector<uint32_t>> ports_of(const Json& value, std::string_view name) {
  std::vector<uint32_t> ports;
  for (const Json& entry : *TRY(array_of(value, name, kMaxListenPorts))) {
    ports.push_back(static_cast<uint32_t>(TRY(number(entry, "port", UINT32_MAX))));
  }
  return ports;
}

Result<uint32_t> port_of(const Json& json) { return static_cast<uint32_t>(TRY(number(field(json, "port"), "port", UINT32_MAX))); }

Result<Json> parse_object(std::string_view text) {
  if (text.size() > kMaxMessageSize) return corrupt("too big");
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return corrupt("not a JSON object");
  return json;
}

Result<std::string> type_of(const Json& json) { return text_of(field(json, "type"), "type", 32); }

// Bytes are two hexadecimal digits each: JSON's text is UTF-8.
std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<std::string> bytes_of(const Json& value, std::string_view name, size_t max) {
  const std::string text = TRY(text_of(value, name, 2 * max));
  if (text.size() % 2 != 0) return corrupt(std::string(name) + " is not whole bytes");
  std::string bytes(text.size() / 2, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    uint8_t byte = 0;
    const char* const digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc() || end != digits + 2) return corrupt(std::string(name) + " is not hexadecimal");
    bytes[i] = static_cast<char>(byte);
  }
  return bytes;
}

Result<Disk> decode_disk(const Json& json, size_t fd_count) {
  if (!json.is_object()) return corrupt("a disk is not an object");
  const Json& read_only = field(json, "read_only");
  if (!read_only.is_boolean()) return corrupt("read_only is not a boolean");
  return Disk{.fd = TRY(fd_index(field(json, "fd"), "disk", fd_count)),
              .read_only = read_only.get<bool>(),
              .serial = TRY(text_of(field(json, "serial"), "serial", kMaxDiskSerial))};
}

Result<Configure> decode_configure(const Json& json, size_t fd_count) {
  Configure c;
  c.cpus = static_cast<uint32_t>(TRY(number(field(json, "cpus"), "cpus", kMaxCpus)));
  c.memory = TRY(number(field(json, "memory"), "memory", kMaxMemory));
  if (c.cpus == 0) return corrupt("cpus is 0");
  if (c.memory == 0) return corrupt("memory is 0");
  c.command_line = TRY(text_of(field(json, "command_line"), "command_line", kMaxCommandLine));
  c.kernel = TRY(optional_fd_index(field(json, "kernel"), "kernel", fd_count));
  c.firmware = TRY(optional_fd_index(field(json, "firmware"), "firmware", fd_count));
  if (c.kernel.has_value() == c.firmware.has_value()) return corrupt("a VM boots either a kernel or firmware");
  c.initrd = TRY(optional_fd_index(field(json, "initrd"), "initrd", fd_count));
  for (const Json& entry : *TRY(array_of(field(json, "disks"), "disks", kMaxDisks))) {
    c.disks.push_back(TRY(decode_disk(entry, fd_count)));
  }
  c.console_output = TRY(fd_index(field(json, "console_output"), "console_output", fd_count));
  c.console_input = TRY(optional_fd_index(field(json, "console_input"), "console_input", fd_count));
  const Json& virtio_console = field(json, "virtio_console");
  if (!virtio_console.is_boolean()) return corrupt("virtio_console is not a boolean");
  c.virtio_console = virtio_console.get<bool>();
  c.listen_ports = TRY(ports_of(field(json, "listen_ports"), "listen_ports"));
  c.listen_seqpacket_ports = TRY(ports_of(field(json, "listen_seqpacket_ports"), "listen_seqpacket_ports"));
  const Json& ask = field(json, "ask_about_ports");
  if (!ask.is_boolean()) return corrupt("ask_about_ports is not a boolean");
  c.ask_about_ports = ask.get<bool>();
  c.watchdog_seconds =
      static_cast<uint32_t>(TRY(number(field(json, "watchdog_seconds"), "watchdog_seconds", kMaxWatchdogSeconds)));
  if (const Json& instance_id = field(json, "instance_id"); !instance_id.is_null()) {
    c.instance_id = TRY(bytes_of(instance_id, "instance_id", kInstanceIdSize));
    if (c.instance_id.size() != kInstanceIdSize) return corrupt("instance_id has the wrong size");
  }
  return c;
}

Result<Capture> decode_capture(const Json& json, size_t fd_count) {
  Capture c{.ring = TRY(fd_index(field(json, "ring"), "ring", fd_count)), .ports = {}};
  for (const Json& entry : *TRY(array_of(field(json, "ports"), "ports", kMaxCapturePorts))) {
    c.ports.push_back(static_cast<uint32_t>(TRY(number(entry, "port", UINT32_MAX))));
  }
  c.max_payload = static_cast<uint32_t>(TRY(number(field(json, "max_payload"), "max_payload", UINT32_MAX)));
  return c;
}

Result<AttachDebugger> decode_attach_debugger(const Json& json, size_t fd_count) {
  const Json& hold = field(json, "hold");
  if (!hold.is_boolean()) return corrupt("hold is not a boolean");
  return AttachDebugger{.listener = TRY(fd_index(field(json, "listener"), "listener", fd_count)), .hold = hold.get<bool>()};
}

Result<Trace> decode_trace(const Json& json, size_t fd_count) {
  return Trace{.rings = TRY(fd_index(field(json, "rings"), "rings", fd_count)),
               .ring_count = static_cast<uint32_t>(TRY(number(field(json, "ring_count"), "ring_count", kMaxTraceRings))),
               .categories = static_cast<uint32_t>(TRY(number(field(json, "categories"), "categories", UINT32_MAX)))};
}

Json to_json(const Configure& c) {
  Json disks = Json::array();
  for (const Disk& disk : c.disks) disks.push_back({{"fd", disk.fd}, {"read_only", disk.read_only}, {"serial", disk.serial}});
  Json json = {{"type", "configure"},
               {"cpus", c.cpus},
               {"memory", c.memory},
               {"command_line", c.command_line},
               {"disks", disks},
               {"console_output", c.console_output},
               {"virtio_console", c.virtio_console},
               {"listen_ports", c.listen_ports},
               {"listen_seqpacket_ports", c.listen_seqpacket_ports},
               {"ask_about_ports", c.ask_about_ports},
               {"watchdog_seconds", c.watchdog_seconds}};
  if (c.kernel) json["kernel"] = *c.kernel;
  if (c.firmware) json["firmware"] = *c.firmware;
  if (c.initrd) json["initrd"] = *c.initrd;
  if (c.console_input) json["console_input"] = *c.console_input;
  if (!c.instance_id.empty()) json["instance_id"] = to_hex(c.instance_id);
  return json;
}
Json to_json(const Start&) { return {{"type", "start"}}; }
Json to_json(const Stop&) { return {{"type", "stop"}}; }
Json to_json(const Describe&) { return {{"type", "describe"}}; }
Json to_json(const Connect& c) {
  Json json = {{"type", "connect"}, {"port", c.port}, {"socket_type", name_of(c.type)}};
  if (c.socket) json["socket"] = *c.socket;
  return json;
}
Json to_json(const Answer& answer) {
  Json json = {{"type", "answer"}, {"question", answer.question}};
  if (answer.socket) json["socket"] = *answer.socket;
  return json;
}

Json to_json(const Capture& c) {
  return {{"type", "capture"}, {"ring", c.ring}, {"ports", c.ports}, {"max_payload", c.max_payload}};
}
Json to_json(const Trace& t) {
  return {{"type", "trace"}, {"rings", t.rings}, {"ring_count", t.ring_count}, {"categories", t.categories}};
}
Json to_json(const ReadStatistics&) { return {{"type", "statistics"}}; }
Json to_json(const Suspend&) { return {{"type", "suspend"}}; }
Json to_json(const Resume&) { return {{"type", "resume"}}; }
Json to_json(const Listen& l) { return {{"type", "listen"}, {"port", l.port}, {"socket_type", name_of(l.type)}}; }
Json to_json(const SetBalloon& b) { return {{"type", "balloon"}, {"bytes", b.bytes}}; }
Json to_json(const Dump&) { return {{"type", "dump"}}; }
Json to_json(const CrashReports& c) { return {{"type", "crash-reports"}, {"memory", c.memory}}; }
Json to_json(const Inspect&) { return {{"type", "inspect"}}; }
Json to_json(const AttachDebugger& a) { return {{"type", "attach-debugger"}, {"listener", a.listener}, {"hold", a.hold}}; }

Json to_json(const Reply& reply) {
  Json json = {{"type", "reply"}, {"id", reply.id}};
  if (reply.error)
    json["error"] = {{"code", kCodeNames[static_cast<size_t>(reply.error->code)]}, {"message", reply.error->message}};
  return json;
}
Json to_json(const Accepted& accepted) {
  return {{"type", "accepted"}, {"port", accepted.port}, {"socket_type", name_of(accepted.type)}};
}
Json to_json(const Asked& asked) {
  return {{"type", "asked"}, {"question", asked.question}, {"port", asked.port}, {"socket_type", name_of(asked.type)}};
}
Json to_json(const Ended& ended) { return {{"type", "ended"}, {"reason", to_string(ended.reason)}, {"message", ended.message}}; }

Json to_json(const Description& d) {
  Json sandbox = Json::array();
  for (const SandboxMeasure& m : d.sandbox) sandbox.push_back({{"name", m.name}, {"in_force", m.in_force}, {"detail", m.detail}});
  return {{"type", "description"},
          {"id", d.id},
          {"backend", d.backend},
          {"isolation", d.isolation},
          {"host_features", d.host_features},
          {"problem", d.problem},
          {"sandbox", sandbox}};
}

Result<Description> decode_description(const Json& json) {
  Description d{.id = static_cast<uint32_t>(TRY(number(field(json, "id"), "id", UINT32_MAX))),
                .backend = TRY(text_of(field(json, "backend"), "backend", 64)),
                .isolation = TRY(text_of(field(json, "isolation"), "isolation", 64)),
                .host_features = {},
                .problem = TRY(text_of(field(json, "problem"), "problem", kMaxMessageSize)),
                .sandbox = {}};
  for (const Json& entry : *TRY(array_of(field(json, "host_features"), "host_features", 256))) {
    d.host_features.push_back(TRY(text_of(entry, "host feature", 64)));
  }
  for (const Json& entry : *TRY(array_of(field(json, "sandbox"), "sandbox", 64))) {
    if (!entry.is_object()) return corrupt("a measure of the sandbox is not an object");
    const Json& in_force = field(entry, "in_force");
    if (!in_force.is_boolean()) return corrupt("in_force is not a boolean");
    d.sandbox.push_back({.name = TRY(text_of(field(entry, "name"), "name", 64)),
                         .in_force = in_force.get<bool>(),
                         .detail = TRY(text_of(field(entry, "detail"), "detail", 1024))});
  }
  return d;
}

Result<Reply> decode_reply(const Json& json) {
  Reply reply{.id = static_cast<uint32_t>(TRY(number(field(json, "id"), "id", UINT32_MAX))), .error = {}};
  const Json& error = field(json, "error");
  if (error.is_null()) return reply;
  if (!error.is_object()) return corrupt("error is not an object");
  const auto code = index_of(kCodeNames, TRY(text_of(field(error, "code"), "code", 32)));
  if (!code) return corrupt("unknown error code");
  reply.error = Error{static_cast<ErrorCode>(*code), TRY(text_of(field(error, "message"), "message", kMaxMessageSize))};
  return reply;
}

}  // namespace

std::string_view to_string(EndReason reason) { return kReasonNames[static_cast<size_t>(reason)]; }

Result<std::string> encode(const Request& request) {
  Json json = std::visit([](const auto& body) { return to_json(body); }, request.body);
  json["id"] = request.id;
  return finish(json);
}

Result<std::string> encode(const Event& event) {
  return finish(std::visit([](const auto& body) { return to_json(body); }, event));
}

Result<Request> decode_request(std::string_view text, size_t fd_count) {
  const Json json = TRY(parse_object(text));
  Request request{.id = static_cast<uint32_t>(TRY(number(field(json, "id"), "id", UINT32_MAX))), .body = {}};
  const std::string type = TRY(type_of(json));
  if (type == "configure") {
    request.body = TRY(decode_configure(json, fd_count));
  } else if (type == "start") {
    request.body = Start{};
  } else if (type == "stop") {
    request.body = Stop{};
  } else if (type == "describe") {
    request.body = Describe{};
  } else if (type == "statistics") {
    request.body = ReadStatistics{};
  } else if (type == "balloon") {
    request.body = SetBalloon{.bytes = TRY(number(field(json, "bytes"), "bytes", kMaxMemory))};
  } else if (type == "dump") {
    request.body = Dump{};
  } else if (type == "crash-reports") {
    request.body = CrashReports{.memory = TRY(fd_index(field(json, "memory"), "memory", fd_count))};
  } else if (type == "inspect") {
    request.body = Inspect{};
  } else if (type == "attach-debugger") {
    request.body = TRY(decode_attach_debugger(json, fd_count));
  } else if (type == "connect") {
    Connect connect{.port = TRY(port_of(json)),
                    .type = TRY(vsock_type(field(json, "socket_type"))),
                    .socket = TRY(optional_fd_index(field(json, "socket"), "socket", fd_count))};
    if (connect.socket && connect.type != VsockType::kStream) return corrupt("a socket of one's own is a stream");
    request.body = connect;
  } else if (type == "answer") {
    request.body = Answer{.question = static_cast<uint32_t>(TRY(number(field(json, "question"), "question", UINT32_MAX))),
                          .socket = TRY(optional_fd_index(field(json, "socket"), "socket", fd_count))};
  } else if (type == "capture") {
    request.body = TRY(decode_capture(json, fd_count));
  } else if (type == "listen") {
    request.body = Listen{.port = TRY(port_of(json)), .type = TRY(vsock_type(field(json, "socket_type")))};
  } else if (type == "suspend") {
    request.body = Suspend{};
  } else if (type == "resume") {
    request.body = Resume{};
  } else if (type == "trace") {
    request.body = TRY(decode_trace(json, fd_count));
  } else {
    return corrupt("unknown type");
  }
  return request;
}

Result<Event> decode_event(std::string_view text, size_t fd_count) {
  const Json json = TRY(parse_object(text));
  const std::string type = TRY(type_of(json));
  if (type == "reply") return TRY(decode_reply(json));
  if (type == "description") return TRY(decode_description(json));
  if (type == "statistics") return TRY(decode_statistics(json));
  if (type == "accepted") {
    if (fd_count != 1) return corrupt("an accepted stream without its descriptor");
    return Accepted{.port = TRY(port_of(json)), .type = TRY(vsock_type(field(json, "socket_type")))};
  }
  if (type == "asked") {
    return Asked{.question = static_cast<uint32_t>(TRY(number(field(json, "question"), "question", UINT32_MAX))),
                 .port = TRY(port_of(json)),
                 .type = TRY(vsock_type(field(json, "socket_type")))};
  }
  if (type == "ended") {
    const auto reason = index_of(kReasonNames, TRY(text_of(field(json, "reason"), "reason", 32)));
    if (!reason) return corrupt("unknown end reason");
    return Ended{.reason = static_cast<EndReason>(*reason),
                 .message = TRY(text_of(field(json, "message"), "message", kMaxMessageSize))};
  }
  return corrupt("unknown type");
}

}  // namespace adyton::vmm::control
