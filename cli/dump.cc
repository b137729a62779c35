#include "cli/dump.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/result.h"
#include "cli/message.h"
#include "cli/service.h"
#include "guest/exec_protocol.h"
#include "observe/dump_stream.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

// A name is also a path's last part, but may be one that a file should not have.
std::string default_path(const std::string& name) { return "./" + name + ".core"; }

Result<void> write_dump(const DumpOptions& options, const std::string& path) {
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm(*manager, options.name));
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return fail(ErrorCode::kInvalidArgument, fmt::format("cannot make '{}': {}", path, ::strerror(errno)));
  auto size = [&]() -> Result<uint64_t> {
    const UniqueFd stream = TRY(vm->dump());
    return observe::receive_dump(stream.get(), file.get());
  }();
  if (!size) {
    ::unlink(path.c_str());
    return std::unexpected(std::move(size).error());
  }
  struct stat status {};
  (void)::fstat(file.get(), &status);
  fmt::print("{}: {}, {} on disk\n", path, sdk::format_size(*size),
             sdk::format_size(static_cast<uint64_t>(status.st_blocks) * 512));
  return {};
}

}  // namespace

int dump(const DumpOptions& options) {
  if (auto written = write_dump(options, options.output.value_or(default_path(options.name))); !written) {
    say(written.error().message);
    return guest::kExitError;
  }
  return 0;
}

}  // namespace adyton::cli
