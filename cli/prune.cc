#include "cli/prune.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/message.h"
#include "sdk/prepare.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

using Clock = std::chrono::system_clock;
using Files = std::vector<image::Cache::Entry>;

std::string age(Clock::duration since) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(since).count();
  if (hours < 1) return "just now";
  if (hours < 48) return fmt::format("{} h ago", hours);
  return fmt::format("{} days ago", hours / 24);
}

}  // namespace

std::string describe_files(const Files& files, Clock::time_point now) {
  std::string text;
  uint64_t bytes = 0;
  for (const image::Cache::Entry& file : files) {
    bytes += file.bytes;
    text += fmt::format("{:>10}  {:<12}  {}\n", sdk::format_size(file.bytes), file.in_use ? "in use" : age(now - file.used),
                        file.name);
  }
  return text + fmt::format("{} {}, {}\n", files.size(), files.size() == 1 ? "file" : "files", sdk::format_size(bytes));
}

int prune(const PruneOptions& options) {
  auto files = sdk::cached_files();
  if (!files) return failed(files.error());
  const auto now = Clock::now();
  std::erase_if(*files, [&](const image::Cache::Entry& file) { return now - file.used < options.unused; });
  if (options.force) {
    if (const auto removed = sdk::remove_cached_files(*files); !removed) return failed(removed.error());
  }
  const auto middle = std::ranges::stable_partition(*files, [](const image::Cache::Entry& file) { return !file.in_use; }).begin();
  const Files idle(files->begin(), middle), used(middle, files->end());
  std::string text = idle.empty() ? "There is nothing to remove.\n" : options.force ? "Removed:\n" : "Would be removed:\n";
  if (!idle.empty()) text += describe_files(idle, now);
  if (!used.empty()) text += "Virtual machines have open, and keep:\n" + describe_files(used, now);
  const int printed = print(text);
  if (printed == 0 && !options.force && !idle.empty()) say("nothing has been removed: 'adyton prune --force' does that");
  return printed;
}

}  // namespace adyton::cli
