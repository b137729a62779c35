#include "guest/image/apt_repository.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "guest/image/files.h"
#include "guest/image/subprocess.h"

namespace adyton::image {
namespace {

namespace fs = std::filesystem;

constexpr char kKeyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";

// Read after the machine's own configuration (proxies and credentials stay as they are), so it must undo what would reach outside
// the directory: hooks, preferences, sources, extra architectures. apt.conf(5).
std::string configuration(const std::string& directory, const Repository& repository) {
  return fmt::format(
      "#clear APT::Architectures;\n"
      "#clear APT::Update;\n"
      "#clear APT::NeverAutoRemove;\n"
      "#clear DPkg;\n"
      "APT::Architecture \"{1}\";\n"
      "APT::Architectures {{ \"{1}\"; }};\n"
      "APT::Default-Release \"{2}\";\n"
      // Files in the user's cache are the user's: the sandbox user cannot write there.
      "APT::Sandbox::User \"root\";\n"
      "Acquire::Languages \"none\";\n"
      "Acquire::Retries \"3\";\n"
      "Dir::State \"{0}/state\";\n"
      "Dir::State::lists \"{0}/lists\";\n"
      "Dir::State::status \"{0}/status\";\n"
      "Dir::Cache \"{0}/cache\";\n"
      "Dir::Log \"{0}/log\";\n"
      "Dir::Etc::SourceList \"{0}/sources.list\";\n"
      "Dir::Etc::SourceParts \"/dev/null\";\n"
      "Dir::Etc::Preferences \"/dev/null\";\n"
      "Dir::Etc::PreferencesParts \"/dev/null\";\n",
      directory, repository.architecture, repository.suite);
}

}  // namespace

Result<std::string> debian_mirror() {
  if (const char* mirror = std::getenv("ADYTON_DEBIAN_MIRROR"); mirror && *mirror) return std::string(mirror);
  // Without release information: a fresh machine has fetched none yet, and would list nothing.
  const std::string targets = TRY(run_command_checked(
      {"apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"}));
  for (size_t begin = 0; begin < targets.size();) {
    const size_t end = std::min(targets.find('\n', begin), targets.size());
    const std::string line = targets.substr(begin, end - begin);
    begin = end + 1;
    const std::string uri = line.substr(0, line.find(' '));
    std::string path = uri;
    while (path.ends_with('/')) path.pop_back();
    // A mirror of the main archive ends in /debian by convention; security and third-party archives have other names.
    if (line.ends_with(" main") && path.ends_with("/debian")) return uri;
  }
  return fail(ErrorCode::kNotFound, "apt's sources on this machine name no Debian mirror; set ADYTON_DEBIAN_MIRROR to the URL of one");
}

Result<AptRepository> AptRepository::open(std::string directory, const Repository& repository, const Progress& progress) {
  if (std::error_code ignored; !fs::exists(kKeyring, ignored)) {
    return fail(ErrorCode::kNotFound, fmt::format("{} is missing; install the package debian-archive-keyring", kKeyring));
  }
  const std::string mirror = TRY(debian_mirror());
  for (const char* part : {"/state", "/lists/partial", "/cache/archives/partial", "/log"}) {
    std::error_code error;
    fs::create_directories(directory + part, error);
    if (error) return fail_errno("making " + directory + part, error.value());
  }
  TRY(write_file(directory + "/status", {}));
  TRY(write_file(directory + "/apt.conf", bytes_of(configuration(directory, repository))));
  TRY(write_file(directory + "/sources.list", bytes_of(fmt::format("deb [arch={} signed-by={}] {} {} {}\n", repository.architecture, kKeyring,
                                                                     mirror, repository.suite, repository.component))));
  report(progress, fmt::format("fetching the package list of Debian {} for {}", repository.suite, repository.architecture));
  AptRepository result(std::move(directory));
  // Without this option apt-get takes a list that it could not fetch for a warning.
  const auto updated = run_command_checked(
      {"apt-get", "--config-file", result.directory_ + "/apt.conf", "--option", "APT::Update::Error-Mode=any", "--quiet", "update"});
  // The mirror answers, and that is not there.
  if (!updated && updated.error().message.find("does not have a Release file") != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("this machine's Debian mirror has no suite '{}'", repository.suite));
  }
  TRY(updated);
  return result;
}

Result<std::string> AptRepository::field(const std::string& package, const std::string& name) const {
  const auto shown = run_command_checked({"apt-cache", "--config-file", directory_ + "/apt.conf", "--no-all-versions", "show", package});
  if (!shown) return fail(ErrorCode::kNotFound, fmt::format("the Debian suite has no package {} ({})", package, shown.error().message));
  const std::string start = "\n" + name + ": ";
  const std::string text = "\n" + *shown;
  const size_t begin = text.find(start);
  if (begin == std::string::npos) return fail(ErrorCode::kNotFound, fmt::format("the package {} has no field {}", package, name));
  const size_t value = begin + start.size();
  return text.substr(value, text.find('\n', value) - value);
}

Result<std::string> AptRepository::download(const std::string& package) const {
  const std::string target = directory_ + "/download/" + package;
  std::error_code error;
  fs::create_directories(target, error);
  if (error) return fail_errno("making " + target, error.value());
  TRY(run_command_checked({"apt-get", "--config-file", directory_ + "/apt.conf", "--quiet", "download", package}, target));
  for (const fs::directory_entry& entry : fs::directory_iterator(target, error)) {
    if (entry.path().extension() == ".deb") return entry.path().string();
  }
  return fail(ErrorCode::kInternal, "apt-get download left no package behind");
}

}  // namespace adyton::image
