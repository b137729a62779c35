#include "guest/image/cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <optional>
#include <thread>

#include "guest/image/test_support.h"

namespace adyton::image {
namespace {

namespace fs = std::filesystem;

size_t entries_of(const std::string& directory) { return static_cast<size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator())); }

Cache open_cache(const TemporaryDirectory& directory) {
  auto cache = Cache::open(directory.path() + "/cache");
  EXPECT_TRUE(cache) << cache.error().message;
  return std::move(*cache);
}

std::string contents_of(const Artifact& artifact) {
  const auto bytes = read_descriptor(artifact.fd.get(), artifact.path);
  EXPECT_TRUE(bytes);
  return std::string(bytes->begin(), bytes->end());
}

TEST(Cache, BuildsOnce) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  int built = 0;
  const auto build = [&](const std::string& path) {
    ++built;
    return write_file(path, bytes_of("contents"));
  };
  for (int i = 0; i < 3; ++i) {
    const auto artifact = cache.get("thing", build);
    ASSERT_TRUE(artifact) << artifact.error().message;
    EXPECT_EQ(contents_of(*artifact), "contents");
  }
  EXPECT_EQ(built, 1);
  EXPECT_EQ(entries_of(cache.directory()), 1u);
  struct stat info {};
  ASSERT_EQ(::stat(cache.directory().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(Cache, AFailedBuildLeavesNothing) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  const auto artifact = cache.get("thing", [](const std::string& path) -> Result<void> {
    EXPECT_TRUE(write_file(path, bytes_of("half")));
    return fail(ErrorCode::kExhausted, "disk full");
  });
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().message, "disk full");
  EXPECT_EQ(entries_of(cache.directory()), 0u);
  EXPECT_TRUE(cache.get("thing", [](const std::string& path) { return write_file(path, bytes_of("whole")); }));
}

// Runs `work` in a child process and returns its id.
template <typename Work>
pid_t in_process(const Work& work) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(work() ? 0 : 1);
  return pid;
}

TEST(Cache, ProcessesThatWantTheSameBuildItOnce) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  const std::string log = directory.path() + "/log";
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(in_process([&] {
      for (int round = 0; round < 20; ++round) {
        const auto opened = Cache::open(cache.directory());
        const auto artifact = opened->get("thing" + std::to_string(round), [&](const std::string& path) -> Result<void> {
          const UniqueFd fd(::open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
          TRY(write_all(fd.get(), bytes_of("x"), log));
          TRY(write_file(path, bytes_of("first ")));
          std::this_thread::yield();
          return write_file(path, bytes_of("contents"));
        });
        if (!artifact || contents_of(*artifact) != "contents") return false;
      }
      return true;
    }));
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EQ(fs::file_size(log), 20u);
  EXPECT_EQ(entries_of(cache.directory()), 20u);
}

TEST(Cache, AKilledBuilderIsForgotten) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = in_process([&] {
    const auto scratch = cache.scratch();
    (void)write_file(scratch->path() + "/file", bytes_of("left over"));
    return cache
        .get("thing",
             [&](const std::string& path) -> Result<void> {
               TRY(write_file(path, bytes_of("half")));
               TRY(write_all(ready[1], bytes_of("r"), "pipe"));
               for (;;) ::pause();
             })
        .has_value();
  });
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  // While it lives, what it holds stays.
  EXPECT_TRUE(Cache::open(cache.directory()));
  EXPECT_EQ(entries_of(cache.directory()), 2u);
  // One that waits for it takes over when it dies.
  const pid_t waiter = in_process([&] {
    const auto artifact = cache.get("thing", [](const std::string& path) { return write_file(path, bytes_of("whole")); });
    return artifact && contents_of(*artifact) == "whole";
  });
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(::waitpid(waiter, &status, 0), waiter);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(Cache::open(cache.directory()));
  EXPECT_EQ(entries_of(cache.directory()), 1u);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(Cache, LeftoversAndUnusedArtifactsGo) {
  TemporaryDirectory directory;
  Cache cache = open_cache(directory);
  ASSERT_TRUE(cache.get("old", [](const std::string& path) { return write_file(path, bytes_of("1")); }));
  ASSERT_TRUE(cache.get("new", [](const std::string& path) { return write_file(path, bytes_of("2")); }));
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (cache.directory() + "/old").c_str(), times, 0), 0);
  std::ofstream(cache.directory() + "/dead.partial") << "x";
  fs::create_directories(cache.directory() + "/scratch-dead/sub");
  cache = open_cache(directory);
  EXPECT_FALSE(cache.find("old"));
  EXPECT_TRUE(cache.find("new"));
  EXPECT_EQ(entries_of(cache.directory()), 1u);
}

TEST(Cache, HoldsNoMoreThanWhatWasUsedInThirtyDays) {
  TemporaryDirectory directory;
  Cache cache = open_cache(directory);
  const auto days_ago = [&](const std::string& name, int days) {
    const timespec then{::time(nullptr) - days * 24L * 3600 + 3600, 0};  // and an hour less
    const timespec times[2] = {then, then};
    ASSERT_EQ(::utimensat(AT_FDCWD, (cache.directory() + "/" + name).c_str(), times, 0), 0);
  };
  for (int day = 1; day <= 40; ++day) {
    const std::string name = "tree-" + std::to_string(day) + ".erofs";
    ASSERT_TRUE(cache.get(name, [](const std::string& path) { return write_file(path, bytes_of("x")); }));
    days_ago(name, day);
  }
  ASSERT_TRUE(cache.find("tree-39.erofs"));  // a use
  cache = open_cache(directory);
  const auto entries = cache.entries();
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 31u) << "of 1 to 30 days, and the one that was used";
  EXPECT_EQ(entries->front().name, "tree-30.erofs");
  EXPECT_EQ(entries->back().name, "tree-39.erofs");
}

TEST(Cache, ListsWhatIsKeptAndNothingElse) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  ASSERT_TRUE(cache.get("large", [](const std::string& path) { return write_file(path, Bytes(1 << 20)); }));
  const auto scratch = cache.scratch();
  fs::create_directory(cache.directory() + "/folder");
  fs::create_symlink("large", cache.directory() + "/link");
  std::ofstream(cache.directory() + "/half.partial") << "x";
  const auto entries = cache.entries();
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().name, "large");
  EXPECT_GE(entries->front().bytes, uint64_t{1} << 20);
  EXPECT_FALSE(entries->front().in_use);
}

TEST(Cache, WhatIsInUseIsNotDiscardedHoweverOldItIs) {
  TemporaryDirectory directory;
  Cache cache = open_cache(directory);
  const auto build = [](const std::string& path) { return write_file(path, bytes_of("contents")); };
  std::optional<Artifact> made = *cache.get("thing", build);  // the one that made it
  EXPECT_EQ(cache.discard("thing").value(), false);
  UniqueFd passed_on(::dup(made->fd.get()));  // as to a VM's process
  made.reset();
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (cache.directory() + "/thing").c_str(), times, 0), 0);
  cache = open_cache(directory);
  EXPECT_EQ(cache.discard("thing").value(), false);
  ASSERT_EQ(cache.entries()->size(), 1u);
  EXPECT_TRUE(cache.entries()->front().in_use);
  passed_on.reset();
  EXPECT_EQ(cache.discard("thing").value(), true);
  EXPECT_EQ(cache.discard("thing").value(), true) << "somebody else may have been faster";
  EXPECT_FALSE(cache.find("thing"));
  EXPECT_TRUE(cache.get("thing", build)) << "it is made again";
}

// Some use it, some throw it away: whoever has it, has the file that is there under its name.
TEST(Cache, IsNotDiscardedBetweenTheLookAndTheUse) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  const auto build = [](const std::string& path) { return write_file(path, bytes_of("contents")); };
  std::atomic<bool> done = false;
  std::thread discarder([&] {
    while (!done) EXPECT_TRUE(cache.discard("thing"));
  });
  std::vector<std::thread> users;
  for (int user = 0; user < 3; ++user) {
    users.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto artifact = cache.get("thing", build);
        ASSERT_TRUE(artifact) << artifact.error().message;
        struct stat opened {}, named {};
        ASSERT_EQ(::fstat(artifact->fd.get(), &opened), 0);
        ASSERT_EQ(::stat(artifact->path.c_str(), &named), 0);
        ASSERT_EQ(opened.st_ino, named.st_ino);
      }
    });
  }
  for (std::thread& user : users) user.join();
  done = true;
  discarder.join();
}

TEST(Cache, AScratchDirectoryLivesAsLongAsItsObject) {
  TemporaryDirectory directory;
  const Cache cache = open_cache(directory);
  {
    const auto scratch = cache.scratch();
    ASSERT_TRUE(scratch);
    EXPECT_TRUE(write_file(scratch->path() + "/file", bytes_of("x")));
    EXPECT_TRUE(Cache::open(cache.directory()));
    EXPECT_TRUE(fs::exists(scratch->path() + "/file"));
  }
  EXPECT_EQ(entries_of(cache.directory()), 0u);
}

TEST(Cache, SaysWhatIsWrongWithItsDirectory) {
  const auto cache = Cache::open("/proc/no/such/cache");
  ASSERT_FALSE(cache);
  EXPECT_THAT(cache.error().message, ::testing::HasSubstr("/proc/no/such/cache"));
}

TEST(Cache, FollowsTheXdgRules) {
  const char* before = ::getenv("XDG_CACHE_HOME");
  const std::string saved = before ? before : "";
  ::setenv("XDG_CACHE_HOME", "/somewhere", 1);
  EXPECT_EQ(*Cache::default_directory(), "/somewhere/adyton");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  const auto fallback = Cache::default_directory();
  if (fallback) {
    EXPECT_TRUE(fallback->ends_with("/.cache/adyton"));
  }
  before ? ::setenv("XDG_CACHE_HOME", saved.c_str(), 1) : ::unsetenv("XDG_CACHE_HOME");
}

}  // namespace
}  // namespace adyton::image
