#include "guest/image/kernel_package.h"

#include <fmt/format.h>

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

// Which package the suite's metapackage led to when it was last asked.
std::string reference_name(const KernelOptions& options) {
  Fingerprint fingerprint;
  fingerprint.add("kernel reference 1");
  fingerprint.add(options.suite);
  fingerprint.add(options.package);
  return "kernel-" + fingerprint.finish().substr(0, 32) + ".ref";
}

// The name of a package as its file has it; it becomes a file name in the cache.
bool plausible_file_name(const std::string& name) {
  return name.starts_with(kImagePrefix) && name.ends_with(".deb") && name.find('/') == std::string::npos && name.find('_') != std::string::npos &&
         name.size() < 200;
}

// "linux-image-6.1.0-50-cloud-arm64 (= 6.1.176-1), foo" -> "linux-image-6.1.0-50-cloud-arm64"
std::optional<std::string> kernel_dependency(const std::string& depends) {
  for (size_t begin = 0; begin < depends.size();) {
    const size_t end = std::min(depends.find(',', begin), depends.size());
    std::string name = depends.substr(begin, end - begin);
    name.erase(0, name.find_first_not_of(' '));
    name = name.substr(0, name.find_first_of(" |("));
    // A versioned package: the digit tells it from a metapackage.
    if (name.starts_with(kImagePrefix) && name.size() > kImagePrefix.size() && name[kImagePrefix.size()] >= '0' && name[kImagePrefix.size()] <= '9') {
      return name;
    }
    begin = end + 1;
  }
  return std::nullopt;
}

// Downloads the package into the cache and returns its file name.
Result<std::string> fetch(const Cache& cache, const KernelOptions& options, const Progress& progress) {
  const Cache::Scratch scratch = TRY(cache.scratch());
  const AptRepository repository = TRY(AptRepository::open(scratch.path(), {options.suite, "arm64", "main"}, progress));
  std::string package = options.package;
  if (const auto depends = repository.field(package, "Depends")) {
    if (auto kernel = kernel_dependency(*depends)) package = *kernel;
  } else if (!repository.field(package, "Version")) {
    return fail(ErrorCode::kNotFound, fmt::format("Debian {} has no package {} for arm64", options.suite, options.package));
  }
  report(progress, fmt::format("downloading {}", package));
  const std::string downloaded = TRY(repository.download(package));
  const std::string name = std::filesystem::path(downloaded).filename();
  if (!plausible_file_name(name)) return fail(ErrorCode::kUnsupported, fmt::format("{} is not a kernel package", name));
  const auto copy = [&](const std::string& path) -> Result<void> { return write_file(path, TRY(read_file(downloaded))); };
  TRY(cache.get(name, copy, progress));
  return name;
}

}  // namespace

std::string kernel_command_line(bool verbose) {
  // panic=-1: a guest that panics resets at once, and the VMM tells. rodata=on instead of the default "full" leaves the linear map in big
  // pages. The modules are few and known: no module needs to wait for another's asynchronous probe.
  return std::string("console=ttyAMA0 panic=-1 rodata=on") + (verbose ? "" : " quiet loglevel=4");
}

KernelPackage::KernelPackage(std::string file_name) : file_name_(std::move(file_name)) {
  release_ = file_name_.substr(kImagePrefix.size(), file_name_.find('_') - kImagePrefix.size());
}

Result<KernelPackage> KernelPackage::locate(const Cache& cache, const KernelOptions& options, const Progress& progress) {
  const auto ask = [&](const std::string& path) -> Result<void> { return write_file(path, bytes_of(TRY(fetch(cache, options, progress)))); };
  for (int attempt = 0;; ++attempt) {
    const Artifact reference = TRY(cache.get(reference_name(options), ask, progress));
    const Bytes name = TRY(read_descriptor(reference.fd.get(), reference.path));
    KernelPackage package(std::string(name.begin(), name.end()));
    auto deb = plausible_file_name(package.file_name_) ? cache.find(package.file_name_) : fail(ErrorCode::kNotFound, "the cache is damaged");
    if (deb) {
      package.deb_ = std::move(*deb);
      return package;
    }
    if (attempt == 1 || deb.error().code != ErrorCode::kNotFound) return std::unexpected(std::move(deb).error());
    forget(cache, options);  // someone removed the package but not the note
  }
}

void KernelPackage::forget(const Cache& cache, const KernelOptions& options) { cache.remove(reference_name(options)); }

Result<KernelPackage::Images> KernelPackage::images(const Cache& cache, const std::string& init, const Progress& progress) const {
  const Bytes init_program = TRY(read_file(init));
  Fingerprint kernel_key;
  kernel_key.add("vmlinuz 1");
  kernel_key.add(file_name_);
  const std::string kernel_name = "vmlinuz-" + release_ + "-" + kernel_key.finish().substr(0, 32);
  Fingerprint initramfs_key;
  initramfs_key.add("initramfs 1");
  initramfs_key.add(file_name_);
  initramfs_key.add(init_program);
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
    contents = TRY(read_package_files(deb_.path, [](const std::string& path) {
      return path.starts_with("boot/vmlinuz-") || path.ends_with("/modules.builtin") || path.find(".ko") != std::string::npos;
    }));
    return {};
  };
  const auto extract_kernel = [&](const std::string& path) -> Result<void> {
    TRY(unpack());
    const auto kernel = contents->lower_bound("boot/vmlinuz-");
    if (kernel == contents->end() || !kernel->first.starts_with("boot/vmlinuz-")) return fail(ErrorCode::kCorrupt, file_name_ + " holds no kernel");
    return write_file(path, kernel->second);
  };
  const auto make_initramfs = [&](const std::string& path) -> Result<void> {
    TRY(unpack());
    report(progress, "building the guest's initramfs");
    std::string builtin;
    std::map<std::string, Bytes> modules;
    for (auto& [name, file] : *contents) {
      if (name.ends_with("/modules.builtin")) builtin.assign(file.begin(), file.end());
      if (name.find(".ko") != std::string::npos) modules[name] = std::move(file);
    }
    const auto order = TRY(ModuleSet(std::move(modules), builtin).resolve(guest_module_groups()));
    return write_file(path, TRY(build_initramfs(init_program, order)));
  };
  Images images;
  images.kernel = TRY(cache.get(kernel_name, extract_kernel, progress));
  images.initramfs = TRY(cache.get(initramfs_name, make_initramfs, progress));
  return images;
}

}  // namespace adyton::image
