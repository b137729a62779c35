#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "rpc/utf.h"
#include "service/record_store.h"

namespace adyton::service {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMaxText = 4096;  // bytes of each short field
constexpr size_t kMaxPayloads = 64;

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("the record's configuration is damaged: {}", what));
}

const Json& field(const Json& object, const char* name) {
  static const Json null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

Result<std::string> text_of(const Json& object, const char* name, size_t max) {
  const Json& value = field(object, name);
  if (!value.is_string()) return corrupt(fmt::format("{} is not a string", name));
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > max) return corrupt(fmt::format("{} is too long", name));
  return text;
}

Result<int64_t> number_of(const Json& object, const char* name, int64_t max) {
  const Json& value = field(object, name);
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(max)) ||
      value.get<int64_t>() < 0) {
    return corrupt(fmt::format("{} is not a number from 0 to {}", name, max));
  }
  return value.get<int64_t>();
}

Result<bool> bool_of(const Json& object, const char* name) {
  const Json& value = field(object, name);
  if (!value.is_boolean()) return corrupt(fmt::format("{} is not a boolean", name));
  return value.get<bool>();
}

Result<void> check_size(std::string_view text, size_t max, const char* name) {
  if (text.size() > max) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is longer than {} bytes", name, max));
  return {};
}

}  // namespace

Result<InstanceId> new_instance_id() {
  InstanceId id{};
  if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) return fail_errno("cannot make an instance id");
  return id;
}

Result<void> check_name(std::string_view name) {
  const auto bad = [](std::string why) { return fail(ErrorCode::kInvalidArgument, "a VM's name " + why); };
  if (name.empty()) return bad("must not be empty");
  if (name.size() > kMaxName) return bad(fmt::format("has at most {} bytes", kMaxName));
  if (name == "." || name == "..") return bad("must not be . or ..");
  for (const char c : name) {
    if (c == '/' || c == ':') return bad("must not contain '/' or ':' (NAME:PATH names a file in it)");
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return bad("must not contain control characters");
  }
  if (!rpc::utf16_from_utf8(name)) return bad("must be UTF-8");
  return {};
}

Result<void> RecordConfig::check_compatible(const RecordConfig& other) const {
  const auto differs = [](const char* what) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the new configuration is not compatible: it differs in {}, which is part of "
                            "the VM's identity",
                            what));
  };
  if (isolation != other.isolation) return differs("the isolation level");
  if (debug_level != other.debug_level) return differs("the debug level");
  if (encrypted_storage_bytes != other.encrypted_storage_bytes) return differs("the size of the encrypted storage");
  if (output_captured != other.output_captured) return differs("whether output is captured");
  if (console_input_supported != other.console_input_supported) return differs("whether the console takes input");
  if (payload_binary_name != other.payload_binary_name) return differs("the payload's program");
  if (payload_config_path != other.payload_config_path) return differs("the payload's configuration");
  if (package_name != other.package_name) return differs("the payload's package");
  if (os != other.os) return differs("the operating system");
  if (extra_payloads != other.extra_payloads) return differs("the extra payloads");
  return {};
}

Result<std::string> to_json(const RecordConfig& c) {
  TRY(check_size(c.config, kMaxConfig, "the configuration"));
  for (const std::string* text : {&c.payload_binary_name, &c.payload_config_path, &c.package_name, &c.os})
    TRY(check_size(*text, kMaxText, "a name in the configuration"));
  if (c.extra_payloads.size() > kMaxPayloads)
    return fail(ErrorCode::kInvalidArgument, fmt::format("there are more than {} extra payloads", kMaxPayloads));
  for (const std::string& text : c.extra_payloads) TRY(check_size(text, kMaxText, "a name in the configuration"));
  if (c.isolation < 0 || c.debug_level < 0 || c.encrypted_storage_bytes < 0)
    return fail(ErrorCode::kInvalidArgument, "the configuration has a negative number");
  const Json json = {{"version", kVersion},
                     {"isolation", c.isolation},
                     {"debug_level", c.debug_level},
                     {"encrypted_storage_bytes", c.encrypted_storage_bytes},
                     {"output_captured", c.output_captured},
                     {"console_input_supported", c.console_input_supported},
                     {"payload_binary_name", c.payload_binary_name},
                     {"payload_config_path", c.payload_config_path},
                     {"package_name", c.package_name},
                     {"os", c.os},
                     {"extra_payloads", c.extra_payloads},
                     {"config", c.config}};
  try {
    return json.dump(2) + "\n";
  } catch (const Json::exception&) { return fail(ErrorCode::kInvalidArgument, "the configuration holds text that is not UTF-8"); }
}

Result<RecordConfig> record_config_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return corrupt("not a JSON object");
  if (TRY(number_of(json, "version", INT32_MAX)) != kVersion) return corrupt("it is of another version");
  RecordConfig c;
  c.config = TRY(text_of(json, "config", kMaxConfig));
  c.isolation = static_cast<int32_t>(TRY(number_of(json, "isolation", INT32_MAX)));
  c.debug_level = static_cast<int32_t>(TRY(number_of(json, "debug_level", INT32_MAX)));
  c.encrypted_storage_bytes = TRY(number_of(json, "encrypted_storage_bytes", INT64_MAX));
  c.output_captured = TRY(bool_of(json, "output_captured"));
  c.console_input_supported = TRY(bool_of(json, "console_input_supported"));
  c.payload_binary_name = TRY(text_of(json, "payload_binary_name", kMaxText));
  c.payload_config_path = TRY(text_of(json, "payload_config_path", kMaxText));
  c.package_name = TRY(text_of(json, "package_name", kMaxText));
  c.os = TRY(text_of(json, "os", kMaxText));
  const Json& extra = field(json, "extra_payloads");
  if (!extra.is_array() || extra.size() > kMaxPayloads) return corrupt("extra_payloads is not a list");
  for (const Json& entry : extra) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().size() > kMaxText)
      return corrupt("an extra payload is not a name");
    c.extra_payloads.push_back(entry.get<std::string>());
  }
  return c;
}

Result<std::string> to_json(const LastRun& run) {
  TRY(check_size(run.message, kMaxText, "why it ended"));
  Json json = {{"version", kVersion}, {"reason", run.reason}, {"message", run.message}, {"app", run.app}};
  if (run.exit_code >= 0) json["exit_code"] = run.exit_code;
  if (!run.crash_report.empty()) json["crash_report"] = run.crash_report;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<LastRun> last_run_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return corrupt("not a JSON object");
  if (TRY(number_of(json, "version", INT32_MAX)) != kVersion) return corrupt("it is of another version");
  LastRun run;
  run.reason = static_cast<int32_t>(TRY(number_of(json, "reason", INT32_MAX)));
  run.message = TRY(text_of(json, "message", kMaxText));
  if (json.contains("exit_code")) run.exit_code = static_cast<int32_t>(TRY(number_of(json, "exit_code", 255)));
  run.app = TRY(bool_of(json, "app"));
  if (json.contains("crash_report")) run.crash_report = TRY(text_of(json, "crash_report", kMaxName));
  return run;
}

}  // namespace adyton::service
