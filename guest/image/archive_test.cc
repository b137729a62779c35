// The archives that the image builder writes and reads: cpio, .deb, compressed files, and the initramfs made of them.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "guest/image/cpio_writer.h"
#include "guest/image/deb_package.h"
#include "guest/image/initramfs.h"
#include "guest/image/kernel_modules.h"
#include "guest/image/subprocess.h"
#include "guest/image/test_support.h"
#include "guest/init/modules.h"

namespace adyton::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CpioWriter, WritesWhatTheKernelReads) {
  CpioWriter writer;
  ASSERT_TRUE(writer.add_file("/a/b/c", bytes_of("contents"), 0755));
  ASSERT_TRUE(writer.add_file("/a/empty", {}));
  ASSERT_TRUE(writer.add_symlink("/link", "a/b/c"));
  ASSERT_TRUE(writer.add_character_device("/dev/console", 0600, 5, 1));
  ASSERT_TRUE(writer.add_directory("/a"));  // again: no second entry
  const auto bytes = writer.finish();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size() % 4, 0u);
  const auto entries = parse_cpio(*bytes);
  EXPECT_EQ(entries.size(), 7u);
  EXPECT_EQ(entries.at("a").mode, S_IFDIR | 0755u);
  EXPECT_EQ(entries.at("a/b").mode, S_IFDIR | 0755u);
  EXPECT_EQ(entries.at("a/b/c").mode, S_IFREG | 0755u);
  EXPECT_EQ(entries.at("a/b/c").contents, "contents");
  EXPECT_EQ(entries.at("a/b/c").uid, 0u);
  EXPECT_EQ(entries.at("a/empty").contents, "");
  EXPECT_EQ(entries.at("link").contents, "a/b/c");
  EXPECT_EQ(entries.at("dev/console").mode, S_IFCHR | 0600u);
  EXPECT_EQ(entries.at("dev/console").device_major, 5u);
  EXPECT_EQ(entries.at("dev/console").device_minor, 1u);
}

TEST(CpioWriter, TheSameContentsGiveTheSameBytes) {
  const auto make = [] {
    CpioWriter writer;
    EXPECT_TRUE(writer.add_file("/x", bytes_of("1")));
    return *writer.finish();
  };
  EXPECT_EQ(make(), make());
}

// An object file with a .modinfo section and nothing else (ELF gABI).
Bytes make_module(std::string_view depends) {
  const std::string info = "license=GPL" + std::string(1, '\0') + "depends=" + std::string(depends) + std::string(1, '\0');
  const std::string names("\0.modinfo\0.shstrtab\0", 20);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_REL;
  header.e_machine = EM_AARCH64;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  header.e_shoff = sizeof header + info.size() + names.size();
  Elf64_Shdr sections[3]{};
  sections[1].sh_name = 1;
  sections[1].sh_type = SHT_PROGBITS;
  sections[1].sh_offset = sizeof header;
  sections[1].sh_size = info.size();
  sections[2].sh_name = 10;
  sections[2].sh_type = SHT_STRTAB;
  sections[2].sh_offset = sizeof header + info.size();
  sections[2].sh_size = names.size();
  Bytes file(reinterpret_cast<const uint8_t*>(&header), reinterpret_cast<const uint8_t*>(&header + 1));
  file.insert(file.end(), info.begin(), info.end());
  file.insert(file.end(), names.begin(), names.end());
  file.insert(file.end(), reinterpret_cast<const uint8_t*>(sections), reinterpret_cast<const uint8_t*>(sections + 3));
  return file;
}

std::vector<std::string> names_of(const std::vector<OrderedModule>& modules) {
  std::vector<std::string> names;
  for (const OrderedModule& module : modules) names.push_back(module.group + ":" + module.name);
  return names;
}

TEST(KernelModules, NamesAndDependencies) {
  EXPECT_EQ(module_name("kernel/drivers/char/hw_random/virtio-rng.ko"), "virtio_rng");
  EXPECT_EQ(module_name("lib/modules/6.12/kernel/net/vsock.ko.xz"), "vsock");
  EXPECT_THAT(module_dependencies(make_module("vsock,virtio-ring")), ElementsAre("vsock", "virtio_ring"));
  EXPECT_TRUE(module_dependencies(make_module("")).empty());
  EXPECT_TRUE(module_dependencies(bytes_of("not an object")).empty());
}

TEST(KernelModules, AModuleComesAfterThoseItNeeds) {
  std::map<std::string, Bytes> files;
  files["kernel/top.ko"] = make_module("left,right");
  files["kernel/left.ko"] = make_module("bottom");
  files["kernel/right.ko"] = make_module("bottom,inside");
  files["kernel/bottom.ko"] = make_module("");
  const ModuleSet set(std::move(files), "kernel/lib/inside.ko\n");
  auto order = set.resolve({{"base", {"left"}}, {"more", {"top", "inside"}}, {"optional", {"absent"}, false}});
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_THAT(names_of(*order), ElementsAre("base:bottom", "base:left", "more:bottom", "more:left", "more:right", "more:top"));
}

TEST(KernelModules, AMissingOrCircularModuleIsAnError) {
  std::map<std::string, Bytes> files;
  files["a.ko"] = make_module("b");
  files["b.ko"] = make_module("a");
  files["c.ko"] = make_module("nowhere");
  const ModuleSet set(std::move(files), "");
  const auto circular = set.resolve({{"g", {"a"}}});
  ASSERT_FALSE(circular);
  EXPECT_EQ(circular.error().code, ErrorCode::kCorrupt);
  const auto missing = set.resolve({{"g", {"c"}}});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("nowhere"));
}

TEST(Initramfs, HoldsInitModulesAndTheirOrder) {
  std::vector<OrderedModule> modules;
  modules.push_back({"base", "virtio", {1, 2, 3}});
  modules.push_back({"disk", "virtio", {1, 2, 3}});
  modules.push_back({"disk", "erofs", {4}});
  const auto archive = build_initramfs(bytes_of("init program"), bytes_of("agent"), modules);
  ASSERT_TRUE(archive);
  const auto entries = parse_cpio(*archive);
  EXPECT_EQ(entries.at("init").contents, "init program");
  EXPECT_EQ(entries.at("init").mode, S_IFREG | 0755u);
  EXPECT_EQ(entries.at("lib/adyton/agent").contents, "agent");
  EXPECT_EQ(entries.at("lib/modules/virtio.ko").contents, "\1\2\3");
  EXPECT_EQ(entries.at("tmp").mode, S_IFDIR | 01777u);
  const auto list = guest::parse_module_list(entries.at(std::string(guest::kModuleList).substr(1)).contents);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[1].group, "disk");
  EXPECT_EQ(list[1].path, "/lib/modules/virtio.ko");
}

TEST(Initramfs, ArchivesAreConcatenatedAndSealed) {
  TemporaryDirectory directory;
  CpioWriter first, second;
  ASSERT_TRUE(first.add_file("/one", bytes_of("1")));
  ASSERT_TRUE(second.add_file("/two", bytes_of("22")));
  const Bytes base = *first.finish();
  const std::string path = directory.file("base", std::string(base.begin(), base.end()));
  const auto fd = concatenate_archives(open_for_reading(path)->get(), *second.finish());
  ASSERT_TRUE(fd);
  const auto entries = parse_cpio(*read_descriptor(fd->get(), "initrd"));
  EXPECT_EQ(entries.at("one").contents, "1");
  EXPECT_EQ(entries.at("two").contents, "22");
  EXPECT_FALSE(write_all(fd->get(), bytes_of("x"), "initrd"));
}

TEST(DebPackage, ReadsWhatDpkgWrote) {
  TemporaryDirectory directory;
  [[maybe_unused]] const auto control = directory.file("tree/DEBIAN/control",
                                                       "Package: test\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.invalid>\n"
                                                       "Description: test\n");
  [[maybe_unused]] const auto kernel = directory.file("tree/boot/vmlinuz-1", std::string(300000, 'k'));
  [[maybe_unused]] const auto other = directory.file("tree/boot/config-1", "no");
  const std::string deb = directory.path() + "/test.deb";
  const auto built = run_command_checked({"dpkg-deb", "--build", "--root-owner-group", directory.path() + "/tree", deb});
  ASSERT_TRUE(built) << built.error().message;
  const auto files = read_package_files(deb, [](const std::string& path) { return path.starts_with("boot/vmlinuz"); });
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->size(), 1u);
  EXPECT_EQ(files->at("boot/vmlinuz-1"), Bytes(300000, 'k'));

  // Truncated anywhere, it is refused or gives no wrong contents.
  const Bytes whole = *read_file(deb);
  for (size_t size = 0; size < whole.size(); size += 13) {
    const std::string cut = directory.file("cut.deb", std::string(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    const auto read = read_package_files(cut, [](const std::string&) { return true; });
    if (read && read->contains("boot/vmlinuz-1")) {
      EXPECT_EQ(read->at("boot/vmlinuz-1"), Bytes(300000, 'k'));
    }
  }
}

TEST(DebPackage, RefusesOtherFiles) {
  TemporaryDirectory directory;
  EXPECT_FALSE(read_package_files(directory.file("x.deb", "not a package"), [](const std::string&) { return true; }));
  EXPECT_FALSE(read_package_files(directory.path() + "/missing.deb", [](const std::string&) { return true; }));
}

TEST(DebPackage, DecompressesModules) {
  TemporaryDirectory directory;
  const std::string plain(100000, 'm');
  const std::string path = directory.file("module.ko", plain);
  ASSERT_TRUE(run_command_checked({"gzip", path}));
  const auto contents = decompress(*read_file(path + ".gz"));
  ASSERT_TRUE(contents);
  EXPECT_EQ(std::string(contents->begin(), contents->end()), plain);
  const auto as_is = decompress(bytes_of(plain));
  ASSERT_TRUE(as_is);
  EXPECT_EQ(as_is->size(), plain.size());
}

}  // namespace
}  // namespace adyton::image
