#include "guest/image/find_init.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace adyton::image {

Result<std::string> find_init() {
  namespace fs = std::filesystem;
  std::error_code error;
  if (const char* path = std::getenv("ADYTON_INIT"); path && *path) return std::string(path);
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail_errno("finding the running program", error.value());
  fs::path init = program.parent_path().parent_path() / "share/adyton/init";
  if (fs::exists(init, error)) return init.string();
  return fail(ErrorCode::kNotFound, fmt::format("the guest's init program is not at {}; reinstall adyton, or build the target adyton_init", init.string()));
}

}  // namespace adyton::image
