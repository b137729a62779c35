#include "sdk/installation.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace adyton::sdk {
namespace {

namespace fs = std::filesystem;

// The folders of the running program, and of the library if that is shared.
std::vector<fs::path> own_folders() {
  std::vector<fs::path> folders;
  std::error_code error;
  if (const auto self = fs::read_symlink("/proc/self/exe", error); !error) folders.push_back(self.parent_path());
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&find_program), &info) != 0 && info.dli_fname != nullptr) {
    const auto library = fs::canonical(info.dli_fname, error).parent_path();
    if (!error && (folders.empty() || folders.front() != library)) folders.push_back(library);
  }
  return folders;
}

// What may be the prefix of an installation: the parents of bin, lib and lib/TRIPLET.
std::vector<fs::path> prefixes() {
  std::vector<fs::path> found;
  for (const fs::path& folder : own_folders()) {
    found.push_back(folder.parent_path());
    if (folder.parent_path().filename() == "lib") found.push_back(folder.parent_path().parent_path());
  }
  found.emplace_back("/usr/local");
  found.emplace_back("/usr");
  return found;
}

void add(std::vector<std::string>& list, std::string entry) {
  if (std::find(list.begin(), list.end(), entry) == list.end()) list.push_back(std::move(entry));
}

}  // namespace

std::vector<std::string> program_folders() {
  std::vector<std::string> folders;
  for (const fs::path& folder : own_folders()) add(folders, folder.string());
  for (const fs::path& prefix : prefixes()) {
    add(folders, (prefix / "libexec" / "adyton").string());
    add(folders, (prefix / "bin").string());
  }
  if (const char* path = std::getenv("PATH")) {
    std::istringstream entries(path);
    for (std::string folder; std::getline(entries, folder, ':');) {
      if (folder.starts_with('/')) add(folders, folder);
    }
  }
  return folders;
}

Result<std::string> find_program(const std::string& name, const char* environment) {
  if (const char* given = std::getenv(environment); given != nullptr && *given != '\0') {
    if (::access(given, X_OK) == 0) return std::string(given);
    return fail(ErrorCode::kNotFound, fmt::format("{} names '{}', which cannot be executed", environment, given));
  }
  const auto folders = program_folders();
  for (const std::string& folder : folders) {
    const std::string path = folder + "/" + name;
    std::error_code ignored;
    if (::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path, ignored)) return path;
  }
  return fail(ErrorCode::kNotFound, fmt::format("the program {} is missing: it is not in {}; {} can name it", name,
                                                fmt::join(folders, ", "), environment));
}

Result<std::string> find_shared_file(const std::string& name) {
  const auto folders = prefixes();
  for (const fs::path& prefix : folders) {
    const fs::path path = prefix / "share" / "adyton" / name;
    if (::access(path.c_str(), R_OK) == 0) return path.string();
  }
  std::vector<std::string> looked;
  for (const fs::path& prefix : folders) looked.push_back((prefix / "share" / "adyton").string());
  return fail(ErrorCode::kNotFound, fmt::format("the file {} is missing: it is not in {}", name, fmt::join(looked, ", ")));
}

}  // namespace adyton::sdk
