#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstring>

#include "observe/trace_record.h"

namespace adyton::cli {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

constexpr int kMaxSignal = 64;  // of Linux

}  // namespace

CaptureFormat capture_format(std::string_view file) {
  return file.ends_with(".pcap") ? CaptureFormat::kPcap : CaptureFormat::kPcapng;
}

TraceFormat trace_format(std::string_view file) {
  if (file.ends_with(".json")) return TraceFormat::kChromeJson;
  return file.ends_with(".txt") ? TraceFormat::kText : TraceFormat::kPerfetto;
}

void choose_trace_categories(TraceOptions& options, const std::vector<std::string>& names) {
  const auto named = [&](const char* name) { return std::ranges::find(names, name) != names.end(); };
  const auto chosen = [&](const char* name) { return names.empty() || named(name) || named("all"); };
  using observe::TraceCategory;
  for (const auto& [name, category] :
       {std::pair("vcpu", TraceCategory::kVcpu), std::pair("translation", TraceCategory::kTranslation),
        std::pair("interrupt", TraceCategory::kInterrupt), std::pair("virtio", TraceCategory::kVirtio),
        std::pair("vsock", TraceCategory::kVsock)}) {
    if (chosen(name)) options.categories |= static_cast<uint32_t>(category);
  }
  options.calls = chosen("rpc");
  // It costs a copy of each packet: it has to be said.
  options.packets = named("calls");
  options.memory = chosen("memory");
  options.boot = chosen("boot");
}

Result<MountOption> parse_mount(const std::string& text) {
  MountOption mount;
  std::string rest = text;
  if (rest.ends_with(":ro")) {
    mount.read_only = true;
    rest.resize(rest.size() - 3);
  } else if (rest.ends_with(":rw")) {
    rest.resize(rest.size() - 3);
  }
  // The guest's path has no colon, the host's may.
  const size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size())
    return bad(fmt::format("--mount '{}' is not SOURCE:TARGET[:ro]", text));
  mount.source = rest.substr(0, colon);
  mount.target = rest.substr(colon + 1);
  if (!mount.target.starts_with('/')) return bad(fmt::format("--mount target '{}' is not an absolute path", mount.target));
  return mount;
}

Result<DiskOption> parse_disk(const std::string& text) {
  DiskOption disk{.path = text, .read_only = false};
  if (disk.path.ends_with(",ro")) {
    disk.read_only = true;
    disk.path.resize(disk.path.size() - 3);
  }
  if (disk.path.empty()) return bad(fmt::format("--disk '{}' names no file", text));
  return disk;
}

Result<int> parse_signal(const std::string& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number >= 1 && number <= kMaxSignal) return number;
    return bad(fmt::format("signal {} is not from 1 to {}", number, kMaxSignal));
  }
  std::string name = text;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (number = 1; number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return bad(fmt::format("'{}' is no signal: give a number or a name such as TERM", text));
}

CopyEnd parse_copy_end(const std::string& text) {
  const size_t colon = text.find(':');
  // A path of ours may have a colon; one with a slash in front of it is a path.
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return {.vm = std::nullopt, .path = text};
  return {.vm = text.substr(0, colon), .path = text.substr(colon + 1)};
}

}  // namespace adyton::cli
