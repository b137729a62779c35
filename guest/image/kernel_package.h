// The guest's kernel: Debian's stock arm64 cloud kernel, from Debian's package, and the initramfs that goes with it.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "guest/image/cache.h"
#include "guest/image/progress.h"

namespace adyton::image {

inline constexpr const char* kDefaultSuite = "bookworm";

struct KernelOptions {
  std::string suite = kDefaultSuite;  // any suite of the Debian archive, "trixie-backports" for example
  std::string package = "linux-image-cloud-arm64";  // a kernel package, or a metapackage that depends on one
};

// Whether that can be the name of a suite: lower case letters, digits, dots and dashes. kInvalidArgument otherwise.
Result<void> check_suite(const std::string& suite);

// The kernel command line for the initramfs built here. `verbose` lets the kernel's own messages through to the serial console.
std::string kernel_command_line(bool verbose);

class KernelPackage {
 public:
  // Finds the kernel in the cache, or fetches it through apt.
  static Result<KernelPackage> locate(const Cache& cache, const KernelOptions& options, const Progress& progress = {});
  // Forgets which version the suite has, so that locate() asks again.
  static void forget(const Cache& cache, const KernelOptions& options);

  // "6.1.0-50-cloud-arm64"
  [[nodiscard]] const std::string& release() const { return release_; }
  // File names of the packages it consists of: one up to Debian 13; kernel and modules are in packages of their own since.
  [[nodiscard]] const std::vector<std::string>& packages() const { return packages_; }

  struct Images {
    Artifact kernel;     // vmlinuz as the package has it: an arm64 Image, or from 6.10 on an EFI zboot Image
    Artifact initramfs;  // uncompressed newc cpio; another cpio may be appended
  };
  // `init`: path of the guest's init program (find_init()); a program "agent" in the same folder comes with it.
  Result<Images> images(const Cache& cache, const std::string& init, const Progress& progress = {}) const;

 private:
  std::vector<std::string> packages_;
  std::string release_;
  std::vector<Artifact> files_;  // of the packages, in the same order
};

}  // namespace adyton::image
