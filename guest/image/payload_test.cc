#include "guest/image/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "guest/image/directory_image.h"
#include "guest/image/subprocess.h"
#include "guest/image/test_support.h"

namespace adyton::image {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(Payload, ADynamicProgramBringsItsLibraries) {
  const auto payload = build_payload(ADYTON_TEST_HELLO_DYNAMIC);
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_EQ(payload->program, "/payload/hello-dynamic");
  const auto entries = parse_cpio(payload->cpio);
  const Bytes program = *read_file(ADYTON_TEST_HELLO_DYNAMIC);
  EXPECT_EQ(entries.at("payload/hello-dynamic").contents, std::string(program.begin(), program.end()));
  EXPECT_EQ(entries.at("payload/hello-dynamic").mode, S_IFREG | 0755u);
  for (const char* name : {"lib/ld-linux-aarch64.so.1", "lib/aarch64-linux-gnu/libc.so.6", "lib/aarch64-linux-gnu/libstdc++.so.6",
                           "lib/aarch64-linux-gnu/libm.so.6", "lib/aarch64-linux-gnu/libgcc_s.so.1"}) {
    EXPECT_TRUE(entries.contains(name)) << name;
  }
}

TEST(Payload, AStaticProgramGoesAlone) {
  const auto payload = build_payload(ADYTON_TEST_HELLO_STATIC);
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_TRUE(payload->libraries.empty());
  EXPECT_EQ(parse_cpio(payload->cpio).size(), 2u);
}

TEST(Payload, LibrariesBesideTheProgramComeFirst) {
  TemporaryDirectory directory;
  const std::string program = directory.path() + "/hello";
  fs::copy_file(ADYTON_TEST_HELLO_DYNAMIC, program);
  fs::create_directory(directory.path() + "/lib");  // the program's RUNPATH is $ORIGIN/lib:/opt/lib
  fs::copy_file("/usr/aarch64-linux-gnu/lib/libstdc++.so.6", directory.path() + "/lib/libstdc++.so.6");
  [[maybe_unused]] const auto decoy = directory.file("lib/libm.so.6", "not a library: passed over");
  const auto payload = build_payload(program);
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_THAT(payload->libraries, ::testing::Contains(directory.path() + "/lib/libstdc++.so.6"));
  EXPECT_THAT(payload->libraries, ::testing::Contains("/usr/aarch64-linux-gnu/lib/libm.so.6"));
}

TEST(Payload, ALibraryIsLookedForBesideTheOneThatNeedsIt) {
  const std::string folder = ADYTON_TEST_LAYERED;
  const auto payload = build_payload(folder + "/program");
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_THAT(payload->libraries, ::testing::Contains(folder + "/lib/libouter.so"));
  EXPECT_THAT(payload->libraries, ::testing::Contains(folder + "/lib/libinner.so"));
}

struct Refusal {
  int exit_code = 0;
  std::string message;
};

Refusal refused(const std::string& path, const PayloadOptions& options = {}) {
  const auto payload = build_payload(path, options);
  EXPECT_FALSE(payload) << path;
  return payload ? Refusal{} : Refusal{payload_exit_code(payload.error()), payload.error().message};
}

TEST(Payload, SaysInOneLineWhatIsWrong) {
  TemporaryDirectory directory;
  const Bytes hello = *read_file(ADYTON_TEST_HELLO_DYNAMIC);
  const std::string text(hello.begin(), hello.end());
  const std::pair<std::string, std::pair<int, std::string>> cases[] = {
      {directory.path() + "/missing", {127, "no such file"}},
      {directory.path() + "/missing/deeper", {127, "no such file"}},
      {directory.path(), {126, "is a directory"}},
      {"/proc/self/exe", {126, "is an x86-64 program, and the guest is AArch64"}},
      {directory.file("text", "hello\n", 0755), {126, "is not an AArch64 ELF program"}},
      {directory.file("empty", "", 0755), {126, "is empty"}},
      {directory.file("script", "#! /usr/bin/python3 -u\nprint()\n", 0755), {126, "is a script for /usr/bin/python3;"}},
      {directory.file("half", text.substr(0, text.size() / 2), 0755), {126, "is truncated"}},
      {directory.file("header", text.substr(0, 10), 0755), {126, "truncated"}},
      {directory.file("mode", text, 0644), {126, "chmod +x"}},
      {"/usr/aarch64-linux-gnu/lib/crt1.o", {126, "object file"}},
      {"/dev/null", {126, "is not a regular file"}},
  };
  for (const auto& [path, expected] : cases) {
    const Refusal refusal = refused(path);
    EXPECT_EQ(refusal.exit_code, expected.first) << path;
    EXPECT_THAT(refusal.message, HasSubstr(expected.second)) << path;
    EXPECT_THAT(refusal.message, HasSubstr(path)) << path;
    EXPECT_EQ(refusal.message.find('\n'), std::string::npos) << path;
  }
}

// The C library's mathematics are a shared library that is no payload, and its own program interpreter one that any may be.
constexpr char kPlainLibrary[] = "/usr/aarch64-linux-gnu/lib/libm.so.6";

TEST(Payload, ASharedLibraryNeedsTheEntry) {
  const Refusal refusal = refused(kPlainLibrary);
  EXPECT_EQ(refusal.exit_code, 126);
  EXPECT_THAT(refusal.message, HasSubstr("Failed to find entrypoint AVmPayload_main"));
}

TEST(Payload, ASharedLibraryComesWithTheLauncher) {
  PayloadOptions options;
  EXPECT_THAT(refused(ADYTON_TEST_LIBRARY, options).message, HasSubstr("no launcher"));
  options.launcher = ADYTON_TEST_HELLO_DYNAMIC;  // as good as any: it is not run
  const auto payload = build_payload(ADYTON_TEST_LIBRARY, options);
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_TRUE(payload->is_library);
  EXPECT_EQ(payload->program, "/payload/payload.so");
  const auto entries = parse_cpio(payload->cpio);
  for (const char* name : {"payload/payload.so", "lib/adyton/launcher", "lib/ld-linux-aarch64.so.1", "lib/aarch64-linux-gnu/libc.so.6",
                           "lib/aarch64-linux-gnu/libm.so.6"}) {
    EXPECT_TRUE(entries.contains(name)) << name;
  }
  EXPECT_EQ(entries.at("lib/adyton/launcher").mode, S_IFREG | 0755u);
}

TEST(Payload, NamesTheLibraryThatIsMissing) {
  TemporaryDirectory directory;
  EXPECT_THAT(refused(ADYTON_TEST_HELLO_DYNAMIC, {{directory.path()}}).message, HasSubstr("/lib/ld-linux-aarch64.so.1"));
  fs::copy_file("/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", directory.path() + "/ld-linux-aarch64.so.1");
  const Refusal refusal = refused(ADYTON_TEST_HELLO_DYNAMIC, {{directory.path()}});
  EXPECT_EQ(refusal.exit_code, 126);
  EXPECT_THAT(refusal.message, HasSubstr("needs the library libstdc++.so.6"));
}

TEST(DirectoryImage, HoldsTheTreeAndIsCached) {
  TemporaryDirectory directory;
  const auto cache = Cache::open(directory.path() + "/cache");
  ASSERT_TRUE(cache);
  const std::string tree = directory.path() + "/tree";
  [[maybe_unused]] const auto file = directory.file("tree/sub/file", "contents");
  fs::create_symlink("sub/file", tree + "/link");
  const auto image = build_directory_image(*cache, tree, {});
  ASSERT_TRUE(image) << image.error().message;
  // The reader is erofs-utils' own.
  const std::string by_fd = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(image->fd.get());
  const auto extracted = run_command_checked({"fsck.erofs", "--extract=" + directory.path() + "/out", by_fd});
  ASSERT_TRUE(extracted) << extracted.error().message;
  const Bytes contents = *read_file(directory.path() + "/out/link");
  EXPECT_EQ(std::string(contents.begin(), contents.end()), "contents");
  // The tree changed a moment ago, so its time stamps prove nothing, and the cache does not keep it.
  EXPECT_TRUE(fs::is_empty(cache->directory()));
}

TEST(DirectoryImage, SaysWhatIsWrong) {
  TemporaryDirectory directory;
  const auto cache = Cache::open(directory.path() + "/cache");
  ASSERT_TRUE(cache);
  const auto missing = build_directory_image(*cache, directory.path() + "/missing", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(build_directory_image(*cache, directory.file("file", ""), {}));
}

TEST(Subprocess, ReportsStatusAndOutput) {
  const auto output = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->status, 3);
  EXPECT_EQ(output->output, "out\n");
  EXPECT_EQ(output->errors, "err\n");
  const auto checked = run_command_checked({"sh", "-c", "echo first >&2; echo last >&2; exit 1"});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, "sh: last");
  EXPECT_EQ(run_command_checked({"sh", "-c", "echo 'W: first' >&2; echo 'E: cause' >&2; echo 'E: effect' >&2; exit 100"}).error().message, "sh: cause");
  const auto missing = run_command({"adyton-no-such-program"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"})->status, 137);
}

}  // namespace
}  // namespace adyton::image
