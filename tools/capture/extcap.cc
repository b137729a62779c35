#include "tools/capture/extcap.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <ranges>

#include "observe/vsock_record.h"
#include "tools/capture/packet.h"

namespace adyton::capture {
namespace {

constexpr std::string_view kPrefix = "adyton-";

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

// Somebody's bytes in a message.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

Result<uint32_t> parse_number(std::string_view text, std::string_view what) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return bad(fmt::format("'{}' is not a {}", shown(text), what));
  return number;
}

Result<void> add_port(std::vector<uint32_t>& ports, std::string_view text) {
  ports.push_back(TRY(parse_number(text, "vsock port (0 to 4294967295)")));
  if (ports.size() > observe::kMaxCapturePorts)
    return bad(fmt::format("a capture has at most {} ports", observe::kMaxCapturePorts));
  return {};
}

// What stands in a sentence's braces.
bool is_sayable(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f && c != '{' && c != '}'; });
}

// "--name=value" and "--name", "value".
struct Arguments {
  explicit Arguments(const std::vector<std::string>& all) : arguments(all) {}
  bool next() {
    if (at >= arguments.size()) return false;
    const std::string_view argument = arguments[at++];
    const size_t equals = argument.starts_with("--") ? argument.find('=') : std::string_view::npos;
    name = argument.substr(0, equals);
    joined = equals == std::string_view::npos ? std::nullopt : std::optional(argument.substr(equals + 1));
    return true;
  }
  Result<std::string_view> value() {
    if (joined) return *joined;
    if (at >= arguments.size()) return bad(fmt::format("{} needs a value", shown(name)));
    return std::string_view(arguments[at++]);
  }

  const std::vector<std::string>& arguments;
  size_t at = 0;
  std::string_view name;
  std::optional<std::string_view> joined;
};

}  // namespace

std::string interface_of(std::string_view vm) { return std::string(kPrefix) + std::string(vm); }

Result<std::vector<uint32_t>> parse_port_list(std::string_view text) {
  std::vector<uint32_t> ports;
  for (const auto& part : text | std::views::split(',')) {
    std::string_view word(part.begin(), part.end());
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) TRY(add_port(ports, word));
  }
  return ports;
}

Result<std::vector<uint32_t>> parse_capture_filter(std::string_view text) {
  std::vector<std::string_view> words;
  for (const auto& part : text | std::views::split(' ')) {
    if (!part.empty()) words.emplace_back(part.begin(), part.end());
  }
  std::vector<uint32_t> ports;
  for (size_t i = 0; i < words.size(); i += 3) {
    if (words[i] != "port" || i + 1 >= words.size() || (i + 2 < words.size() && words[i + 2] != "or") || i + 3 == words.size())
      return bad("a capture filter for vsock is like 'port 5000 or port 6000'");
    TRY(add_port(ports, words[i + 1]));
  }
  return ports;
}

Result<ExtcapCommand> parse_extcap(const std::vector<std::string>& arguments) {
  ExtcapCommand command;
  std::optional<ExtcapAction> action;
  std::string interface;
  std::optional<std::string> filter;
  Arguments words(arguments);
  while (words.next()) {
    const std::string_view name = words.name;
    if (name == "--extcap-interfaces") {
      action = ExtcapAction::kInterfaces;
    } else if (name == "--extcap-dlts") {
      action = ExtcapAction::kLinkTypes;
    } else if (name == "--extcap-config") {
      action = ExtcapAction::kConfig;
    } else if (name == "--capture") {
      action = ExtcapAction::kCapture;
    } else if (name == "--version") {
      action = ExtcapAction::kVersion;
    } else if (name == "--help" || name == "-h") {
      action = ExtcapAction::kHelp;
    } else if (name == "--extcap-interface") {
      interface = TRY(words.value());
    } else if (name == "--fifo") {
      command.fifo = TRY(words.value());
    } else if (name == "--extcap-capture-filter") {
      filter = TRY(words.value());
    } else if (name == "--port") {
      const auto text = TRY(words.value());
      command.ports = TRY(parse_port_list(text));
    } else if (name == "--snaplen") {
      const auto text = TRY(words.value());
      command.snaplen = TRY(parse_number(text, "number of bytes"));
    } else if (name == "--extcap-version") {
      // Wireshark's own version, always with '='.
    } else if (name.starts_with("--extcap-")) {
      // Of a later version. A value in the next word does not begin with "--".
      if (!words.joined && words.at < arguments.size() && !arguments[words.at].starts_with("--")) ++words.at;
    } else {
      return bad(fmt::format("'{}' is not an option of adyton-extcap", shown(name)));
    }
  }
  if (!action && filter && !interface.empty()) action = ExtcapAction::kCheckFilter;
  command.action = action.value_or(ExtcapAction::kHelp);
  if (filter) {
    auto ports = parse_capture_filter(*filter);
    if (!ports && command.action != ExtcapAction::kCheckFilter) return std::unexpected(ports.error());
    if (!ports) command.filter_error = ports.error().message;
    if (ports) command.ports.insert(command.ports.end(), ports->begin(), ports->end());
    if (command.ports.size() > observe::kMaxCapturePorts)
      return bad(fmt::format("a capture has at most {} ports", observe::kMaxCapturePorts));
  }
  const bool needs_interface = command.action == ExtcapAction::kLinkTypes || command.action == ExtcapAction::kConfig ||
                               command.action == ExtcapAction::kCapture;
  if (needs_interface) {
    if (!interface.starts_with(kPrefix) || !is_sayable(interface) || interface.size() == kPrefix.size())
      return bad(
          fmt::format("'{}' is not an interface of adyton-extcap: those are called adyton-NAME, with a virtual machine's name",
                      shown(interface)));
    command.vm = interface.substr(kPrefix.size());
  }
  if (command.action == ExtcapAction::kCapture && command.fifo.empty()) return bad("--capture needs --fifo");
  return command;
}

std::string waiting_fifo(const std::vector<std::string>& arguments) {
  Arguments words(arguments);
  bool captures = false;
  std::string fifo;
  while (words.next()) {
    if (words.name == "--capture") captures = true;
    if (words.name != "--fifo") continue;
    if (const auto value = words.value()) fifo = *value;
  }
  return captures ? fifo : std::string();
}

std::string extcap_interfaces(const std::vector<std::string>& vms, std::string_view version) {
  std::string text = fmt::format("extcap {{version={}}}{{display=Adyton virtual machines}}\n", version);
  for (const std::string& vm : vms) {
    if (is_sayable(vm))
      fmt::format_to(std::back_inserter(text), "interface {{value={}}}{{display=vsock of Adyton VM {}}}\n", interface_of(vm), vm);
  }
  return text;
}

std::string extcap_link_types() { return fmt::format("dlt {{number={}}}{{name=VSOCK}}{{display=Linux vsock}}\n", kLinkType); }

std::string extcap_config() {
  return fmt::format(
      "arg {{number=0}}{{call=--port}}{{display=Ports}}{{type=string}}{{required=false}}"
      "{{tooltip=Packets from or to these vsock ports only, with commas between them}}\n"
      "arg {{number=1}}{{call=--snaplen}}{{display=Bytes of each packet}}{{type=unsigned}}{{range=0,{}}}{{default=0}}"
      "{{tooltip=How much of each packet to keep, headers included; 0: all of it}}\n",
      kMaxPacketSize);
}

}  // namespace adyton::capture
