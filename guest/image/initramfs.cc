#include "guest/image/initramfs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>

#include "guest/image/cpio_writer.h"
#include "guest/init/agent.h"
#include "guest/init/modules.h"

namespace adyton::image {

Result<Bytes> build_initramfs(std::span<const uint8_t> init, std::span<const uint8_t> agent, const std::vector<OrderedModule>& modules) {
  CpioWriter cpio;
  TRY(cpio.add_file("/init", init, 0755));
  if (!agent.empty()) TRY(cpio.add_file(guest::kAgentPath, agent, 0755));
  // The kernel opens it for init before devtmpfs is there.
  TRY(cpio.add_character_device("/dev/console", 0600, 5, 1));
  for (const char* directory : {"/proc", "/sys", "/run", "/var", "/mnt", "/payload"}) TRY(cpio.add_directory(directory));
  TRY(cpio.add_directory("/root", 0700));
  TRY(cpio.add_directory("/tmp", 01777));
  TRY(cpio.add_file("/etc/passwd", bytes_of("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")));
  TRY(cpio.add_file("/etc/group", bytes_of("root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")));
  TRY(cpio.add_file("/etc/hosts", bytes_of("127.0.0.1\tlocalhost\n::1\tlocalhost\n")));
  TRY(cpio.add_file("/etc/nsswitch.conf", bytes_of("passwd: files\ngroup: files\nhosts: files\n")));
  std::string list;
  std::set<std::string> written;
  for (const OrderedModule& module : modules) {
    const std::string path = "/lib/modules/" + module.name + ".ko";
    list += module.group + " " + path + "\n";
    if (written.insert(module.name).second) TRY(cpio.add_file(path, module.file));
  }
  TRY(cpio.add_file(guest::kModuleList, bytes_of(list)));
  return cpio.finish();
}

Result<UniqueFd> concatenate_archives(int base, std::span<const uint8_t> appended) {
  UniqueFd result(::memfd_create("adyton-initrd", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!result.valid()) return fail_errno("making the initrd");
  Bytes bytes = TRY(read_descriptor(base, "the base initramfs"));
  bytes.resize((bytes.size() + 3) / 4 * 4);  // an archive begins at a multiple of four; NUL bytes between them are skipped
  TRY(write_all(result.get(), bytes, "the initrd"));
  TRY(write_all(result.get(), appended, "the initrd"));
  // Not F_SEAL_WRITE: it waits for the pages' users to go, a tenth of a second that no boot should cost.
  if (::fcntl(result.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) return fail_errno("sealing the initrd");
  if (::lseek(result.get(), 0, SEEK_SET) != 0) return fail_errno("rewinding the initrd");
  return result;
}

}  // namespace adyton::image
