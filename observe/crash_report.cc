#include "observe/crash_report.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace adyton::observe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".txt";
constexpr std::string_view kTitle = "Crash report of a virtual machine\n";
constexpr std::chrono::hours kLongestWrite(1);
constexpr size_t kMaxHead = 4096;  // bytes of a report that its head is looked for in
constexpr std::array kKinds = {CrashKind::kKernelPanic, CrashKind::kPayload, CrashKind::kMachine, CrashKind::kHang};

std::string one_line(std::string_view text) {
  std::string one = printable(text);
  std::ranges::replace(one, '\n', ' ');
  return one;
}

uint64_t nanoseconds(std::chrono::system_clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count() %
                               1'000'000'000);
}

// Sorts by time.
std::string file_name(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y%m%dT%H%M%S}.{:09}Z{}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)), nanoseconds(time),
                     kSuffix);
}

std::optional<std::chrono::system_clock::time_point> time_of(const std::string& name) {
  std::tm utc{};
  unsigned nanoseconds = 0;
  int end = 0;
  if (std::sscanf(name.c_str(), "%4d%2d%2dT%2d%2d%2d.%9uZ.txt%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                  &utc.tm_min, &utc.tm_sec, &nanoseconds, &end) != 7 ||
      static_cast<size_t>(end) != name.size())
    return std::nullopt;
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  return std::chrono::system_clock::from_time_t(::timegm(&utc)) +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(nanoseconds));
}

// What stands behind `name` in a head.
std::string entry(std::string_view head, std::string_view name) {
  const size_t at = head.find(fmt::format("\n{}:", name));
  if (at == std::string_view::npos) return "";
  std::string_view line = head.substr(at + name.size() + 2);
  line = line.substr(0, line.find('\n'));
  return printable(line.substr(std::min(line.find_first_not_of(' '), line.size())));
}

std::optional<KeptReport> read_head(int folder, const std::string& path, const std::string& name) {
  const auto time = time_of(name);
  const UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!time || !file.valid() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  std::string head(kMaxHead, '\0');
  const ssize_t got = ::pread(file.get(), head.data(), head.size(), 0);
  head.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (!head.starts_with(kTitle)) return std::nullopt;
  head.resize(std::min(head.find("\n\n", kTitle.size() + 1), head.size()));
  KeptReport report{.path = path + "/" + name, .vm = entry(head, "VM"), .cause = entry(head, "Cause"), .time = *time};
  const std::string kind = entry(head, "Kind");
  for (const CrashKind known : kKinds) {
    if (to_string(known) == kind) report.kind = known;
  }
  return report;
}

Result<void> write_new_file(int folder, const char* name, std::string_view text) {
  const UniqueFd file(::openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail_errno("cannot make a crash report");
  while (!text.empty()) {
    const ssize_t put = ::write(file.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int error = errno;
      ::unlinkat(folder, name, 0);
      return fail_errno("cannot write a crash report", error);
    }
    text.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

// What else is in the folder is the user's. An unfinished report may be one that somebody is writing, unless it is old.
void remove_old(int folder, const std::string& path, size_t kept, std::chrono::system_clock::time_point now) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (time_of(name)) names.push_back(name);
    if (!name.starts_with('.')) continue;
    if (const auto begun = time_of(name.substr(1)); begun && now - *begun > kLongestWrite) ::unlinkat(folder, name.c_str(), 0);
  }
  std::ranges::sort(names, std::greater());
  for (size_t i = kept; i < names.size(); ++i) ::unlinkat(folder, names[i].c_str(), 0);
}

}  // namespace

std::string_view to_string(CrashKind kind) {
  switch (kind) {
    case CrashKind::kKernelPanic: return "kernel-panic";
    case CrashKind::kPayload: return "payload";
    case CrashKind::kMachine: return "machine";
    case CrashKind::kHang: return "hang";
  }
  return "unknown";
}

bool is_fault(uint32_t signal) {
  constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  return std::ranges::find(kFaults, static_cast<int>(signal)) != kFaults.end();
}

std::string panic_reason(std::string_view console) {
  constexpr std::string_view kMark = "Kernel panic - not syncing: ";
  constexpr std::string_view kEnd = "---[ end ";  // which says it again
  constexpr size_t kMaxReason = 1024;
  size_t at = console.rfind(kMark);
  if (at != std::string_view::npos && console.substr(0, at).ends_with(kEnd) && at > 0) {
    if (const size_t before = console.rfind(kMark, at - 1); before != std::string_view::npos) at = before;
  }
  if (at == std::string_view::npos) return "";
  const std::string_view rest = console.substr(at + kMark.size());
  return one_line(rest.substr(0, std::min(rest.find_first_of("\r\n"), kMaxReason)));
}

bool PanicWatch::heard(std::span<const uint8_t> console) {
  constexpr std::string_view kMark = "---[ end Kernel panic - not syncing";
  rest_.append(reinterpret_cast<const char*>(console.data()), console.size());
  const bool told = rest_.find(kMark) != std::string::npos;
  if (rest_.size() >= kMark.size()) rest_.erase(0, rest_.size() - (kMark.size() - 1));
  return told;
}

bool shows_panic(std::string_view guest) { return guest.find(" panic+0x") != std::string_view::npos; }

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || (c >= ' ' && c <= '~')) {
      out += c;
    } else if (c == '\t') {
      out += "    ";
    } else if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      // a console's line end
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string crash_report(const CrashFacts& facts) {
  std::string report = fmt::format("{}\nVM:        {}\nCause:     {}\nKind:      {}\nTime:      {:%Y-%m-%d %H:%M:%S} UTC\n",
                                   kTitle, one_line(facts.name), one_line(facts.cause), to_string(facts.kind),
                                   fmt::gmtime(std::chrono::system_clock::to_time_t(facts.time)));
  report += fmt::format("Ran for:   {}.{:03} s\nCID:       {}\nIsolation: {}\nBackend:   {}\n\n", facts.uptime.count() / 1000,
                        facts.uptime.count() % 1000, facts.cid, one_line(facts.isolation), one_line(facts.backend));
  report += facts.guest.empty() ? "Registers: none were read, as nobody may look into this VM or its process ended before\n"
                                : printable(facts.guest);
  report +=
      "\nSerial console, its end:\n" +
      printable(std::string_view(facts.console).substr(facts.console.size() - std::min(facts.console.size(), kMaxCrashConsole)));
  if (!report.ends_with('\n')) report += '\n';
  return report;
}

Result<UniqueFd> make_crash_memory() {
  UniqueFd memory(::memfd_create("adyton-crash", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ::ftruncate(memory.get(), static_cast<off_t>(kCrashMemory)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return fail_errno("cannot make memory for a crash report");
  }
  return memory;
}

std::string read_crash_memory(int memory) {
  std::string text(kCrashMemory, '\0');
  const ssize_t got = ::pread(memory, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

Result<std::string> keep_crash_report(const std::string& path, size_t kept, std::chrono::system_clock::time_point time,
                                      std::string_view report) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("cannot make the folder of crash reports");
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!folder.valid()) return fail_errno("cannot open the folder of crash reports");
  const std::string name = file_name(time), unfinished = "." + name;
  TRY(write_new_file(folder.get(), unfinished.c_str(), report));
  if (::renameat(folder.get(), unfinished.c_str(), folder.get(), name.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(folder.get(), unfinished.c_str(), 0);
    return fail_errno("cannot keep a crash report", error);
  }
  remove_old(folder.get(), path, kept, time);
  return path + "/" + name;
}

std::vector<KeptReport> kept_crash_reports(const std::string& path) {
  std::vector<KeptReport> reports;
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return reports;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (auto report = read_head(folder.get(), path, it->path().filename().string())) reports.push_back(std::move(*report));
  }
  std::ranges::sort(reports, std::greater(), &KeptReport::time);
  return reports;
}

}  // namespace adyton::observe
