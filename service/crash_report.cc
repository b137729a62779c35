#include "service/crash_report.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <vector>

#include "service/durable_file.h"

namespace adyton::service {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".txt";

uint64_t nanoseconds(std::chrono::system_clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count() %
                               1'000'000'000);
}

// Sorts by time.
std::string file_name(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y%m%dT%H%M%S}.{:09}Z{}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)), nanoseconds(time),
                     kSuffix);
}

void remove_old(int folder, const std::string& path, size_t kept) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(kSuffix)) names.push_back(name);
  }
  std::ranges::sort(names, std::greater());
  for (size_t i = kept; i < names.size(); ++i) ::unlinkat(folder, names[i].c_str(), 0);
}

}  // namespace

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
  const auto line = [](std::string_view text) {
    std::string one = printable(text);
    std::ranges::replace(one, '\n', ' ');
    return one;
  };
  std::string report =
      fmt::format("Crash report of a virtual machine\n\nVM:        {}\nCause:     {}\nTime:      {:%Y-%m-%d %H:%M:%S} UTC\n",
                  line(facts.name), line(facts.cause), fmt::gmtime(std::chrono::system_clock::to_time_t(facts.time)));
  report += fmt::format("Ran for:   {}.{:03} s\nCID:       {}\nIsolation: {}\nBackend:   {}\n\n", facts.uptime.count() / 1000,
                        facts.uptime.count() % 1000, facts.cid, to_string(facts.isolation), line(facts.backend));
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
  TRY(write_durable_file(folder.get(), unfinished.c_str(), report));
  if (::renameat(folder.get(), unfinished.c_str(), folder.get(), name.c_str()) != 0) {
    const int error = errno;
    ::unlinkat(folder.get(), unfinished.c_str(), 0);
    return fail_errno("cannot keep a crash report", error);
  }
  TRY(sync_file(folder.get()));
  remove_old(folder.get(), path, kept);
  return path + "/" + name;
}

}  // namespace adyton::service
