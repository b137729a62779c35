// Both ends of a copy, with a pipe between them; and GNU tar at one of them.
#include "guest/tree/copy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "base/unique_fd.h"
#include "guest/tree/tar.h"

namespace adyton::tree {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

uint32_t mode_of(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

class Copy : public ::testing::Test {
 protected:
  Copy() {
    ::signal(SIGPIPE, SIG_IGN);
    std::string name = (fs::temp_directory_path() / "adyton-copy.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root = name;
    fs::create_directories(root / "tree/deep/er");
    write(root / "tree/file", "hello\n");
    write(root / "tree/deep/er/tool", "#!/bin/sh\n");
    fs::permissions(root / "tree/deep/er/tool", fs::perms(04755));
    fs::permissions(root / "tree/deep", fs::perms(0500));
    fs::create_symlink("../file", root / "tree/deep/../link");
    fs::create_directory(root / "to");
  }
  ~Copy() override {
    std::error_code ignored;
    for (const char* locked : {"tree/deep", "to/tree/deep", "as/deep", "to/deep"})
      fs::permissions(root / locked, fs::perms(0700), ignored);
    fs::remove_all(root, ignored);
  }

  static Result<void> copy(const std::string& from, Target to, bool follow = false) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
    // The end of the pipe is closed when the work is done, not when the future ends.
    auto sent = std::async(std::launch::async, [&, end = UniqueFd(ends[1])]() mutable {
      const UniqueFd out = std::move(end);
      return send_tree(from, follow, out.get(), {});
    });
    const Source source = parse_source(from);
    to.name = source.name;
    to.contents_only = source.contents_only;
    Result<void> received;
    {
      const UniqueFd in(ends[0]);
      received = receive_tree(in.get(), to);
    }
    const auto sending = sent.get();
    if (!sending && sending.error().code != ErrorCode::kUnavailable) return sending;
    return received;
  }

  fs::path root;
};

TEST_F(Copy, AFolderGoesIntoAFolder) {
  const auto copied = copy(root / "tree", {.path = root / "to"});
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(contents(root / "to/tree/file"), "hello\n");
  EXPECT_EQ(mode_of(root / "to/tree/deep/er/tool"), 0755u) << "no set-user-id bit without asking";
  EXPECT_EQ(mode_of(root / "to/tree/deep"), 0500u);
  EXPECT_EQ(fs::read_symlink(root / "to/tree/link"), "../file");
  EXPECT_EQ(fs::last_write_time(root / "to/tree/deep/er"), fs::last_write_time(root / "tree/deep/er"));
}

TEST_F(Copy, AFolderBecomesOneThatIsNotThere) {
  ASSERT_TRUE(copy(root / "tree", {.path = root / "as", .mode_mask = 07777}));
  EXPECT_EQ(mode_of(root / "as/deep/er/tool"), 04755u);
}

TEST_F(Copy, OnlyWhatIsInAFolder) {
  ASSERT_TRUE(copy((root / "tree/.").string(), {.path = root / "to"}));
  EXPECT_EQ(contents(root / "to/file"), "hello\n");
  EXPECT_FALSE(fs::exists(root / "to/tree"));
}

TEST_F(Copy, AFileGoesWhereDockerWouldPutIt) {
  ASSERT_TRUE(copy(root / "tree/file", {.path = root / "to"}));
  EXPECT_EQ(contents(root / "to/file"), "hello\n");
  ASSERT_TRUE(copy(root / "tree/file", {.path = root / "to/other"}));
  EXPECT_EQ(contents(root / "to/other"), "hello\n");
  write(root / "to/other", "something longer than that");
  ASSERT_TRUE(copy(root / "tree/file", {.path = root / "to/other"}));
  EXPECT_EQ(contents(root / "to/other"), "hello\n");
  EXPECT_THAT(copy(root / "tree/file", {.path = root / "none/"}).error().message, HasSubstr("there is no folder"));
  EXPECT_THAT(copy(root / "tree/file", {.path = root / "none/x"}).error().message, HasSubstr("No such file"));
  EXPECT_THAT(copy(root / "tree", {.path = root / "to/other"}).error().message, HasSubstr("a folder cannot be copied onto"));
  EXPECT_THAT(copy(root / "nothing", {.path = root / "to"}).error().message, HasSubstr("cannot read"));
}

TEST_F(Copy, ALinkIsCopiedOrFollowed) {
  fs::create_symlink("tree/file", root / "alias");
  ASSERT_TRUE(copy(root / "alias", {.path = root / "to"}));
  EXPECT_EQ(fs::read_symlink(root / "to/alias"), "tree/file");
  ASSERT_TRUE(copy(root / "alias", {.path = root / "to/real"}, /*follow=*/true));
  EXPECT_EQ(contents(root / "to/real"), "hello\n");
  EXPECT_FALSE(fs::is_symlink(root / "to/real"));
}

TEST_F(Copy, HolesStayHoles) {
  {
    const UniqueFd file(::open((root / "disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), off_t{20} << 30), 0);
    ASSERT_EQ(::pwrite(file.get(), "far", 3, off_t{9} << 30), 3);
  }
  ASSERT_TRUE(copy(root / "disk", {.path = root / "to"}));
  struct stat status {};
  ASSERT_EQ(::stat((root / "to/disk").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, off_t{20} << 30);
  EXPECT_LT(status.st_blocks, 1000);
  const UniqueFd file(::open((root / "to/disk").c_str(), O_RDONLY | O_CLOEXEC));
  char word[4] = {};
  ASSERT_EQ(::pread(file.get(), word, 3, off_t{9} << 30), 3);
  EXPECT_STREQ(word, "far");
}

TEST_F(Copy, AFileThatDoesNotSayItsSizeIsCopied) {
  ASSERT_TRUE(copy("/proc/self/status", {.path = root / "to"}));
  EXPECT_THAT(contents(root / "to/status"), HasSubstr("Name:"));
}

TEST_F(Copy, WhatIsNoFileIsLeftOut) {
  ASSERT_EQ(::mkfifo((root / "tree/pipe").c_str(), 0600), 0);
  ASSERT_TRUE(copy(root / "tree", {.path = root / "to"}));
  EXPECT_FALSE(fs::exists(root / "to/tree/pipe"));
  EXPECT_THAT(copy(root / "tree/pipe", {.path = root / "to"}).error().message, HasSubstr("neither a file"));
}

// ---- GNU tar -------------------------------------------------------------------------------------------------------------

TEST_F(Copy, TarReadsTheStream) {
  {
    const UniqueFd sparse(::open((root / "tree/sparse").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(sparse.get(), 1 << 20), 0);
    ASSERT_EQ(::pwrite(sparse.get(), "x", 1, 500'000), 1);
  }
  write(root / ("tree/" + std::string(200, 'n')), "long");
  {
    const UniqueFd file(::open((root / "stream").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(send_tree(root / "tree", false, file.get(), {}));
  }
  const std::string script = "cd '" + root.string() +
                             "' && tar -C to --no-same-owner -xf stream && diff -r --no-dereference tree to && "
                             "[ \"$(stat -c %Y tree/file)\" = \"$(stat -c %Y to/file)\" ]";
  EXPECT_EQ(std::system(script.c_str()), 0);
}

TEST_F(Copy, WhatTarWroteIsRead) {
  const std::string script = "cd '" + root.string() + "/tree' && truncate -s 1M sparse && echo x >> sparse && touch " +
                             std::string(200, 'n') + " && tar --format=posix --sparse -cf ../stream .";
  ASSERT_EQ(std::system(script.c_str()), 0);
  const UniqueFd in(::open((root / "stream").c_str(), O_RDONLY | O_CLOEXEC));
  // tar does not sort a folder's names, and says each folder's things behind it.
  const auto received = receive_tree(in.get(), {.path = root / "as"});
  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(std::system(("diff -r --no-dereference '" + root.string() + "/tree' '" + root.string() + "/as'").c_str()), 0);
}

// ---- an end that lies ----------------------------------------------------------------------------------------------------

class Hostile : public Copy {
 protected:
  Result<void> receive(const std::vector<Entry>& entries) {
    const UniqueFd stream(::open((root / "stream").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    TarWriter writer(stream.get());
    for (const Entry& entry : entries) TRY(writer.begin(entry));
    TRY(writer.finish());
    ::lseek(stream.get(), 0, SEEK_SET);
    return receive_tree(stream.get(), {.path = root / "to", .name = "in"});
  }
  static Entry folder(const std::string& name) { return {.kind = Entry::Kind::kFolder, .name = name, .mode = 0755}; }
  static Entry file(const std::string& name) { return {.kind = Entry::Kind::kFile, .name = name}; }
  static Entry link(const std::string& name, const std::string& to) {
    return {.kind = Entry::Kind::kLink, .name = name, .mode = 0777, .mtime = 0, .mtime_ns = 0, .size = 0, .link = to};
  }
};

TEST_F(Hostile, NamesDoNotLeaveTheFolder) {
  for (const char* name :
       {"", "../evil", "/evil", "evil", "./../evil", "./a/../../evil", "./", ".//evil", "./..", "./.", "./x/evil"}) {
    EXPECT_FALSE(receive({folder("."), file(name)})) << name;
  }
  EXPECT_FALSE(receive({file("/tmp/evil")}));
  EXPECT_FALSE(receive({file("."), file("./evil")})) << "a file has nothing in it";
  EXPECT_FALSE(fs::exists(root / "evil"));
  EXPECT_FALSE(fs::exists(root / "to/evil"));
}

TEST_F(Hostile, LinksAreNotFollowed) {
  fs::create_directory(root / "victim");
  write(root / "victim/file", "safe");
  const std::string outside = (root / "victim").string();
  EXPECT_FALSE(receive({folder("."), link("./way", outside), file("./way/file")}));
  EXPECT_FALSE(receive({folder("."), link("./way", outside), folder("./way"), file("./way/file")}));
  EXPECT_TRUE(receive({folder("."), link("./way", outside + "/file"), file("./way")})) << "the link is replaced";
  EXPECT_EQ(contents(root / "victim/file"), "safe");
  EXPECT_FALSE(fs::is_symlink(root / "to/in/way"));
  EXPECT_FALSE(receive({link(".", outside), file("./file")}));
  EXPECT_EQ(contents(root / "victim/file"), "safe");
}

TEST_F(Hostile, ALinkThatAFormerCopyLeftIsNotFollowed) {
  fs::create_directory(root / "victim");
  write(root / "victim/file", "safe");
  ASSERT_TRUE(receive({link(".", (root / "victim").string())}));
  EXPECT_FALSE(receive({folder("."), file("./file")}));
  EXPECT_EQ(contents(root / "victim/file"), "safe");
  ASSERT_TRUE(receive({link(".", (root / "victim/file").string())}));
  EXPECT_TRUE(receive({file(".")})) << "the link is replaced";
  EXPECT_EQ(contents(root / "victim/file"), "safe");
  EXPECT_FALSE(fs::is_symlink(root / "to/in"));
}

TEST_F(Hostile, AHardLinkOfAFormerCopyIsNotWrittenThrough) {
  write(root / "victim", "safe");
  fs::create_directories(root / "to/in");
  fs::create_hard_link(root / "victim", root / "to/in/file");
  EXPECT_TRUE(receive({folder("."), file("./file")}));
  EXPECT_EQ(contents(root / "victim"), "safe");
}

TEST_F(Hostile, DepthIsBounded) {
  std::vector<Entry> entries{folder(".")};
  std::string name = ".";
  for (int i = 0; i < 1100; ++i) entries.push_back(folder(name += "/d"));
  EXPECT_FALSE(receive(entries));
}

}  // namespace
}  // namespace adyton::tree
