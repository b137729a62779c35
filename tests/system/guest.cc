#include "tests/system/guest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>

#include "guest/image/cache.h"
#include "guest/image/cpio_writer.h"
#include "guest/image/directory_image.h"
#include "guest/image/initramfs.h"
#include "guest/image/kernel_package.h"
#include "guest/image/subprocess.h"

namespace adyton::system_test {
namespace {

// Long enough for a slow machine with other work; a hung guest ends the test all the same.
constexpr unsigned kAdytonSeconds = 1500;
constexpr unsigned kQemuSeconds = 3000;
constexpr char kMemory[] = "2G";

Result<std::string> make_root(const std::string& name, const std::vector<std::string>& packages) {
  const std::string directory = TRY(image::Cache::default_directory()) + "-test/" + name;
  std::vector<std::string> command = {ADYTON_ROOTFS_SCRIPT, directory};
  command.insert(command.end(), packages.begin(), packages.end());
  TRY(image::run_command_checked(command));
  return directory;
}

std::string made_root(const std::string& name, const std::vector<std::string>& packages) {
  auto root = make_root(name, packages);
  if (root) return *root;
  ADD_FAILURE() << "scripts/debian-rootfs: " << root.error().message;
  return "";
}

// The micro guest's own initramfs, and the oracle's program and script on top.
Result<UniqueFd> oracle_initrd(const image::Artifact& initramfs, const std::string& script) {
  image::CpioWriter cpio;
  const image::Bytes program = TRY(image::read_file(ADYTON_ORACLE_INIT));
  TRY(cpio.add_file("/oracle", program, 0755));
  TRY(cpio.add_file("/script", image::bytes_of(script)));
  const image::Bytes archive = TRY(cpio.finish());
  return image::concatenate_archives(initramfs.fd.get(), archive);
}

Result<image::CommandOutput> run_qemu(const std::string& root, const std::string& script, unsigned cpus) {
  auto directory = TRY(image::Cache::default_directory());
  const auto cache = TRY(image::Cache::open(std::move(directory)));
  const auto kernel = TRY(image::KernelPackage::locate(cache, {}));
  const auto images = TRY(kernel.images(cache, ADYTON_INIT_PROGRAM));
  const auto disk = TRY(image::build_directory_image(cache, root, {.all_root = ::geteuid() != 0}));
  const UniqueFd initrd = TRY(oracle_initrd(images.initramfs, script));
  // QEMU does not inherit our descriptors: it reaches them through /proc.
  const auto path_of = [](const UniqueFd& fd) { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd.get()); };
  return image::run_command({"timeout",
                             std::to_string(kQemuSeconds),
                             "qemu-system-aarch64",
                             "-machine",
                             "virt,gic-version=3",
                             "-cpu",
                             "max,pauth=off",
                             "-accel",
                             "tcg,thread=multi",
                             "-smp",
                             std::to_string(cpus),
                             "-m",
                             kMemory,
                             "-nodefaults",
                             "-display",
                             "none",
                             "-no-reboot",
                             "-serial",
                             "stdio",
                             "-kernel",
                             path_of(images.kernel.fd),
                             "-initrd",
                             path_of(initrd),
                             "-append",
                             "console=ttyAMA0 panic=-1 quiet loglevel=0 rodata=on cryptomgr.notests=1 rdinit=/oracle",
                             "-blockdev",
                             fmt::format("driver=file,filename={},node-name=root,read-only=on", path_of(disk.fd)),
                             "-device",
                             "virtio-blk-device,drive=root"});
}

}  // namespace

std::string small_root() { return made_root("small", {"mawk", "openssl", "perl", "sqlite3"}); }

std::string full_root() {
  return made_root("full", {"gcc", "libc6-dev", "libpython3.11-testsuite", "mawk", "openssl", "perl", "python3", "sqlite3"});
}

e2e::Finished run_script(const std::string& root, const std::string& script, unsigned cpus) {
  return e2e::run({"--memory", kMemory, "--smp", std::to_string(cpus), "--timeout", std::to_string(kAdytonSeconds), "--rootfs",
                   root, "--env", "HOME=/root", "--", "/bin/sh", "-c", script});
}

e2e::Finished run_script_in_qemu(const std::string& root, const std::string& script, unsigned cpus) {
  const auto done = run_qemu(root, script, cpus);
  if (!done) {
    ADD_FAILURE() << done.error().message;
    return {};
  }
  constexpr std::string_view kBegin = "@@begin\n", kEnd = "@@end ";
  const std::string& console = done->output;
  const size_t begin = console.find(kBegin), end = console.rfind(kEnd);
  if (begin == std::string::npos || end == std::string::npos) {
    ADD_FAILURE() << "QEMU's guest did not finish (status " << done->status << "): " << console << done->errors;
    return {};
  }
  const size_t output = begin + kBegin.size();
  e2e::Finished result{.output = console.substr(output, end - output)};
  std::from_chars(console.data() + end + kEnd.size(), console.data() + console.size(), result.code);
  return result;
}

}  // namespace adyton::system_test
