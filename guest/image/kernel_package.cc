#include "guest/image/kernel_package.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "guest/image/apt_repository.h"
#include "guest/image/deb_package.h"
#include "guest/image/initramfs.h"
#include "guest/image/kernel_modules.h"
#include "guest/image/sha256.h"

namespace adyton::image {
namespace {

constexpr std::string_view kImagePrefix = "linux-image-";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "linux-image-6.1.0-50-cloud-arm64" and what it is made of, as against metapackages and packages of other families.
bool is_kernel_part(std::string_view package) {
  for (const std::string_view family : {kImagePrefix, std::string_view("linux-binary-"), std::string_view("linux-modules-"), std::string_view("linux-base-")}) {
    if (package.starts_with(family) && package.size() > family.size() && is_digit(package[family.size()])) return true;
  }
  return false;
}

// Which packages the suite's metapackage led to when it was last asked: one file name per line.
std::string reference_name(const KernelOptions& options) {
  Fingerprint fingerprint;
  fingerprint.add("kernel reference 2");
  fingerprint.add(options.suite);
  fingerprint.add(options.package);
  return "kernel-" + fingerprint.finish().substr(0, 32) + ".ref";
}

// A package's file name becomes a name in the cache.
bool plausible_file_name(const std::string& name) {
  return is_kernel_part(name) && name.ends_with(".deb") && name.find('/') == std::string::npos && name.find('_') != std::string::npos && name.size() < 200;
}

// "linux-image-6.1.0-50-cloud-arm64 (= 6.1.176-1), foo | bar" -> the names that are parts of a kernel
std::vector<std::string> kernel_parts(const std::string& depends) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < depends.size();) {
    const size_t end = std::min(depends.find(',', begin), depends.size());
    std::string name = depends.substr(begin, end - begin);
    name.erase(0, name.find_first_not_of(' '));
    name = name.substr(0, name.find_first_of(" |("));
    if (is_kernel_part(name)) parts.push_back(name);
    begin = end + 1;
  }
  return parts;
}

// Suites whose kernels are known to be such as init and the VMM need.
constexpr const char* kKnownSuites = "bookworm, bookworm-backports, trixie, trixie-backports, sid";

// Downloads the kernel's packages into the cache; returns their file names, one per line.
Result<std::string> fetch(const Cache& cache, const KernelOptions& options, const Progress& progress) {
  const Cache::Scratch scratch = TRY(cache.scratch());
  auto opened = AptRepository::open(scratch.path(), {options.suite, "arm64", "main"}, progress);
  if (!opened && opened.error().code == ErrorCode::kInvalidArgument) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}; choose the guest's kernel from one of {}", opened.error().message, kKnownSuites));
  }
  if (!opened) {
    return fail(opened.error().code, fmt::format("cannot fetch the guest's kernel from Debian's suite '{}': {}", options.suite, opened.error().message));
  }
  const AptRepository repository = std::move(*opened);
  if (const auto version = repository.field(options.package, "Version"); !version) {
    return fail(ErrorCode::kNotFound, fmt::format("Debian {} has no package {} for arm64", options.suite, options.package));
  }
  std::vector<std::string> packages;
  if (is_kernel_part(options.package)) packages.push_back(options.package);
  std::vector<std::string> queue = {options.package};
  while (!queue.empty()) {
    const std::string package = std::move(queue.back());
    queue.pop_back();
    const auto depends = repository.field(package, "Depends");
    if (!depends) continue;
    for (std::string& part : kernel_parts(*depends)) {
      if (std::find(packages.begin(), packages.end(), part) != packages.end()) continue;
      packages.push_back(part);
      queue.push_back(std::move(part));
    }
  }
  std::string names;
  for (const std::string& package : packages) {
    report(progress, fmt::format("downloading {}", package));
    const std::string downloaded = TRY(repository.download(package));
    const std::string name = std::filesystem::path(downloaded).filename();
    if (!plausible_file_name(name)) return fail(ErrorCode::kUnsupported, fmt::format("{} is not a kernel package", name));
    const auto copy = [&](const std::string& path) -> Result<void> { return write_file(path, TRY(read_file(downloaded))); };
    TRY(cache.get(name, copy, progress));
    names += name + "\n";
  }
  return names;
}

std::vector<std::string> split_lines(const Bytes& text) {
  std::vector<std::string> lines;
  for (auto begin = text.begin(); begin != text.end();) {
    const auto end = std::find(begin, text.end(), '\n');
    if (end != begin) lines.emplace_back(begin, end);
    begin = end == text.end() ? end : end + 1;
  }
  return lines;
}

bool is_kernel(const std::string& path) { return path.starts_with("boot/vmlinuz-") || (path.find("lib/modules/") != std::string::npos && path.ends_with("/vmlinuz")); }
bool is_module(const std::string& path) { return path.find("lib/modules/") != std::string::npos && path.find(".ko") != std::string::npos; }
bool is_builtin_list(const std::string& path) { return path.ends_with("/modules.builtin"); }

}  // namespace

Result<void> check_suite(const std::string& suite) {
  const bool named = !suite.empty() && suite.size() <= 64 && suite[0] >= 'a' && suite[0] <= 'z' && std::ranges::all_of(suite, [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.';
  });
  if (named) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is not the name of a Debian suite, such as {}", suite, kKnownSuites));
}

std::string kernel_command_line(bool verbose) {
  // panic=-1: a guest that panics resets at once, and the VMM tells. rodata=on instead of the default "full" leaves the linear map in big
  // pages. cryptomgr.notests=1: the self-tests of the kernel's ciphers are three quarters of all the instructions of a boot.
  return std::string("console=ttyAMA0 panic=-1 rodata=on cryptomgr.notests=1") + (verbose ? "" : " quiet loglevel=4");
}

Result<KernelPackage> KernelPackage::locate(const Cache& cache, const KernelOptions& options, const Progress& progress) {
  TRY(check_suite(options.suite));  // it becomes part of apt's configuration
  const auto ask = [&](const std::string& path) -> Result<void> { return write_file(path, bytes_of(TRY(fetch(cache, options, progress)))); };
  for (int attempt = 0;; ++attempt) {
    const Artifact reference = TRY(cache.get(reference_name(options), ask, progress));
    KernelPackage kernel;
    kernel.packages_ = split_lines(TRY(read_descriptor(reference.fd.get(), reference.path)));
    bool whole = true;
    for (const std::string& name : kernel.packages_) {
      auto file = plausible_file_name(name) ? cache.find(name) : fail(ErrorCode::kNotFound, "the cache is damaged");
      if (!file && file.error().code != ErrorCode::kNotFound) return std::unexpected(std::move(file).error());
      whole &= file.has_value();
      if (file) kernel.files_.push_back(std::move(*file));
      if (name.starts_with(kImagePrefix)) kernel.release_ = name.substr(kImagePrefix.size(), name.find('_') - kImagePrefix.size());
    }
    if (whole && !kernel.release_.empty()) return kernel;
    // Someone removed a package but not the note, or the package asked for is none of a kernel's.
    forget(cache, options);
    if (attempt == 1) return fail(ErrorCode::kUnsupported, fmt::format("{} in Debian {} is not a kernel package", options.package, options.suite));
  }
}

void KernelPackage::forget(const Cache& cache, const KernelOptions& options) { cache.remove(reference_name(options)); }

Result<KernelPackage::Images> KernelPackage::images(const Cache& cache, const std::string& init, const Progress& progress) const {
  const Bytes init_program = TRY(read_file(init));
  const std::string agent = init.substr(0, init.rfind('/') + 1) + "agent";
  const Bytes agent_program = ::access(agent.c_str(), F_OK) == 0 ? TRY(read_file(agent)) : Bytes();
  Fingerprint kernel_key;
  kernel_key.add("vmlinuz 1");
  for (const std::string& name : packages_) kernel_key.add(name);
  const std::string kernel_name = "vmlinuz-" + release_ + "-" + kernel_key.finish().substr(0, 32);
  Fingerprint initramfs_key;
  initramfs_key.add("initramfs 2");
  for (const std::string& name : packages_) initramfs_key.add(name);
  initramfs_key.add(init_program);
  initramfs_key.add(agent_program);
  for (const ModuleGroup& group : guest_module_groups()) {
    initramfs_key.add(group.name);
    for (const std::string& name : group.modules) initramfs_key.add(name);
  }
  const std::string initramfs_name = "initramfs-" + release_ + "-" + initramfs_key.finish().substr(0, 32) + ".cpio";

  // One pass over the package serves both.
  std::optional<std::map<std::string, Bytes>> contents;
  const auto unpack = [&]() -> Result<void> {
    if (contents) return {};
    report(progress, "unpacking the guest kernel");
    std::map<std::string, Bytes> all;
    for (const Artifact& file : files_) {
      all.merge(TRY(read_package_files(file.path, [](const std::string& path) { return is_kernel(path) || is_module(path) || is_builtin_list(path); })));
    }
    contents = std::move(all);
    return {};
  };
  const auto extract_kernel = [&](const std::string& path) -> Result<void> {
    TRY(unpack());
    for (const auto& [name, file] : *contents) {
      if (is_kernel(name)) return write_file(path, file);
    }
    return fail(ErrorCode::kCorrupt, fmt::format("the packages of {} hold no kernel", release_));
  };
  const auto make_initramfs = [&](const std::string& path) -> Result<void> {
    TRY(unpack());
    report(progress, "building the guest's initramfs");
    std::string builtin;
    std::map<std::string, Bytes> modules;
    for (auto& [name, file] : *contents) {
      if (is_builtin_list(name)) builtin.assign(file.begin(), file.end());
      if (is_module(name)) modules[name] = std::move(file);
    }
    const auto order = TRY(ModuleSet(std::move(modules), builtin).resolve(guest_module_groups()));
    return write_file(path, TRY(build_initramfs(init_program, agent_program, order)));
  };
  Images images;
  images.kernel = TRY(cache.get(kernel_name, extract_kernel, progress));
  images.initramfs = TRY(cache.get(initramfs_name, make_initramfs, progress));
  return images;
}

}  // namespace adyton::image
